"""One bot polls at a time, and people cannot tell which one it is."""

import asyncio
import signal

from tests.integration.bots.harness import App, Crowd, until

from aisha.database.presence import FENCED_STATUS


async def test_a_bot_that_is_stopped_and_goes_on_later_neither_sends_nor_acknowledges_anything(
    app: App, crowd: Crowd
) -> None:
    first = await app.bot().ready()
    second = await app.bot().ready()
    assert await first.polls()
    await app.control.ask("POST", "/faults", method="sendMessage", kind="hang", seconds=2, times=3)
    await crowd.write(40, pause=0.01)
    await until(lambda: crowd.answers() >= 10, "the first answers")
    first.process.send_signal(signal.SIGSTOP)
    before = crowd.answers()
    await crowd.write(40, pause=0.01)
    await until(second.polls, "the other bot to poll")
    await until(lambda: "are fenced" in second.said(), "the other bot to fence it")
    await until(lambda: crowd.answers() > before + 10, "the other bot to answer")
    first.process.send_signal(signal.SIGCONT)
    assert await first.ended() == FENCED_STATUS
    assert "fenced by another bot" in first.said()
    await crowd.answered_once()


async def test_a_bot_that_is_killed_is_replaced(app: App, crowd: Crowd) -> None:
    first = await app.bot().ready()
    second = await app.bot().ready()
    await crowd.write(30)
    first.process.kill()
    await crowd.write(30)
    await until(second.polls, "the other bot to poll")
    await crowd.answered_once()


async def test_a_bot_that_ends_hands_polling_over(app: App, crowd: Crowd) -> None:
    first = await app.bot().ready()
    second = await app.bot().ready()
    writing = asyncio.create_task(crowd.write(100, pause=0.01))
    await until(lambda: crowd.answers() >= 10, "the first answers")
    assert await first.stop() == 0
    assert await second.polls()
    await writing
    await crowd.answered_once()


async def test_a_bot_hands_polling_over_when_asked(app: App, crowd: Crowd) -> None:
    first = await app.bot().ready()
    status, said = await app.aisha("handover")
    assert (status, "no other bot took over" in said) == (1, True)
    second = await app.bot().ready()
    await until(first.polls, "the only bot to poll again")
    status, said = await app.aisha("handover")
    assert (status, await second.polls()) == (0, True), said
    await crowd.write(20)
    await crowd.answered_once()


async def test_a_standby_is_ready_and_is_listed(app: App) -> None:
    await app.bot().ready()
    second = await app.bot().ready()
    status, said = await app.aisha("status", "--json")
    assert status == 0
    assert await second.id() in said
    assert not await second.polls()


async def test_a_lone_bot_that_was_stopped_goes_on(app: App, crowd: Crowd) -> None:
    bot = await app.bot().ready()
    bot.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(7)
    bot.process.send_signal(signal.SIGCONT)
    await crowd.write(10)
    await crowd.answered_once()
    assert bot.process.poll() is None


async def test_a_webhook_that_nobody_asked_for_is_removed(app: App, crowd: Crowd) -> None:
    app.sandbox.core.webhook.set("http://127.0.0.1:9/", None, 40, None, None)
    await app.bot().ready()
    await crowd.write(5)
    await crowd.answered_once()
