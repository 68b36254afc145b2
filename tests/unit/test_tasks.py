import asyncio

from aisha.tasks import end


async def test_a_task_that_loses_its_first_cancellation_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)  # as in a loop that takes the cancellation for a failed step

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 30)
    assert task.cancelled()


async def test_a_task_that_failed_before_is_no_hindrance() -> None:
    async def failing() -> None:
        raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await asyncio.wait_for(end([task]), 30)
    assert task.done()


async def test_nothing_to_end_is_nothing_to_wait_for() -> None:
    await asyncio.wait_for(end([]), 30)
