"""A service that is stopped accepts connections and answers nothing: whatever does not need it is answered."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from tests.integration.bots.harness import App, Bot, until

from aisha.database.connect import connect, connect_async
from aisha_embedded.services import Services

PROBES = 60
VOICES = 30


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a service's processes, as SIGSTOP or a paused machine does, and let them go on at the end."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.fixture
async def bot(app: App) -> Bot:
    return await app.bot().ready()


@pytest.fixture
def voices(tmp_path: Path) -> list[Path]:
    """Files that differ; nobody listens to them here."""
    paths = [tmp_path / f"{number}.ogg" for number in range(VOICES)]
    for number, path in enumerate(paths):
        path.write_bytes(b"OggS" + bytes([number]) * 1000)
    return paths


async def send(app: App, voices: list[Path]) -> None:
    chat = await app.control.user()
    for path in voices:
        await app.control.ask("POST", f"/chats/{chat}/messages", kind="voice", path=str(path))


async def ask_for_help(app: App) -> None:
    """Write as somebody new, and wait for the one answer."""
    chat = await app.control.user()
    await app.control.say(chat, "/help")
    await until(lambda: app.answers(chat) == 1, "an answer", seconds=20)


async def blamed(app: App, bot: Bot) -> set[str]:
    """Ask for the health more often than there were ever threads, all at once; return what is not ok."""
    states = await asyncio.gather(*(bot.state() for _ in range(PROBES)))
    assert len({tuple(sorted(checks)) for _, checks in states}) == 1
    return {name for name, said in states[-1][1].items() if said != "ok"}


async def stored(app: App) -> int:
    rows = await app.query("SELECT count(*) AS count FROM messages WHERE state = 'stored'")
    return int(rows[0]["count"])


async def test_an_object_store_that_hangs_stops_no_text(
    app: App, bot: Bot, running: Services, voices: list[Path]
) -> None:
    with stopped(running.pids["s3"]):
        await send(app, voices)
        for _ in range(2):
            assert await blamed(app, bot) == {"objects"}
        await ask_for_help(app)
    await until(bot.is_ready, "the bot to be ready again")
    await until(lambda: _all_stored(app), "the voices to be stored")


async def test_a_bot_that_is_told_to_stop_waits_for_no_service_that_hangs(
    app: App, bot: Bot, running: Services, voices: list[Path]
) -> None:
    with stopped(running.pids["s3"]):
        await send(app, voices)
        assert "objects" in await blamed(app, bot)
        bot.process.terminate()
        await until(lambda: bot.process.poll() is not None, "its end", bot.said, seconds=40)
    assert bot.process.wait() == 0
    await app.bot().ready()
    await until(lambda: _all_stored(app), "the voices to be stored")


async def test_a_bot_starts_while_the_object_store_hangs(app: App, running: Services) -> None:
    with stopped(running.pids["s3"]):
        bot = app.bot()
        await until(bot.state, "its health")
        await ask_for_help(app)
        assert await blamed(app, bot) == {"objects"}
    await bot.ready()


async def test_redis_that_hangs_stops_neither_texts_nor_storing(
    app: App, bot: Bot, running: Services, voices: list[Path]
) -> None:
    with stopped(running.pids["redis"]):
        await send(app, voices)
        await until(lambda: _all_stored(app), "the voices to be stored")
        assert await blamed(app, bot) == {"redis"}
        await ask_for_help(app)
    await until(bot.is_ready, "the bot to be ready again")


async def test_postgresql_that_hangs_is_the_only_service_blamed_and_what_came_is_answered(
    app: App, bot: Bot, running: Services
) -> None:
    chat = await app.control.user()
    with stopped(running.pids["postgres"]):
        await app.control.say(chat, "/help")
        assert await blamed(app, bot) - {"presence"} == {"database"}
        async with app.http.get(f"http://127.0.0.1:{bot.health}/health/live") as live:
            assert live.status == 200
    await until(lambda: app.answers(chat) == 1, "the answer")
    await until(bot.is_ready, "the bot to be ready again")
    assert app.answers(chat) == 1


async def test_a_bot_api_server_that_hangs_is_no_other_services_fault(app: App, bot: Bot) -> None:
    await app.control.ask("POST", "/faults", method="*", kind="hang", seconds=4, times=50)
    chat = await app.control.user()
    await app.control.say(chat, "/help")
    assert await blamed(app, bot) <= {"telegram"}
    await app.control.ask("DELETE", "/faults")
    await until(lambda: app.answers(chat) == 1, "the answer")


async def test_the_database_notices_a_vanished_host_as_soon_as_the_host_a_vanished_database(
    services: dict[str, str],
) -> None:
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    wanted = ["5", "3", "3", "15000"]
    with connect(services["AISHA_DATABASE_URL"], relaxed=True) as blocking:
        assert [blocking.execute(f"SHOW {name}").fetchone()[name] for name in names] == wanted  # type: ignore[index]
        assert blocking.execute("SHOW synchronous_commit").fetchone() == {"synchronous_commit": "off"}
    async with await connect_async(services["AISHA_DATABASE_URL"]) as connection:
        for name, value in zip(names, wanted, strict=True):
            assert await (await connection.execute(f"SHOW {name}")).fetchone() == {name: value}


async def _all_stored(app: App) -> bool:
    return await stored(app) == VOICES
