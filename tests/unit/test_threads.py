"""Threads of one service are not another's."""

import asyncio
import threading

from aisha.threads import Threads


async def test_calls_that_hang_hold_up_no_other_services_calls() -> None:
    going_on = threading.Event()
    slow, quick = Threads("slow", 2), Threads("quick")
    hanging = [asyncio.create_task(slow.run(going_on.wait)) for _ in range(10)]
    assert await quick.run(sum, [1, 2]) == 3
    assert await asyncio.to_thread(lambda: "free") == "free"
    going_on.set()
    assert await asyncio.gather(*hanging) == [True] * 10
