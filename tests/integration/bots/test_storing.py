"""Storing is fair and bounded: nobody's files keep another's waiting, and what has no room waits and says so."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from minio import Minio
from tests.integration.bots.harness import App, Bot, until

from aisha.objects import Objects
from aisha.settings import Settings
from aisha.texts import TEXTS

UNAVAILABLE = "Bad Request: wrong file_id or the file is temporarily unavailable"
SIZE = 1000


class SlowFiles:
    """A Bot API server in front of the sandbox's, from which the first files never arrive."""

    def __init__(self, app: App, slow: int) -> None:
        self._app, self._slow = app, slow

    async def __aenter__(self) -> "SlowFiles":
        served = web.Application()
        served.router.add_get("/file/{path:.*_(?P<number>\\d+)\\..*}", self._file)
        served.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(served, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        number = int(request.path.rpartition("_")[2].partition(".")[0])
        if number >= self._slow:
            return await self._pass(request)
        answer = web.StreamResponse(headers={"Content-Length": str(SIZE)})
        await answer.prepare(request)
        await asyncio.Event().wait()
        return answer

    async def _pass(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), {"Content-Type": request.headers.get("Content-Type", "")}
        async with self._app.http.request(
            request.method, self._app.sandbox.url + request.path_qs, data=body, headers=headers
        ) as answer:
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )


@pytest.fixture
async def slow(app: App) -> AsyncIterator[SlowFiles]:
    async with SlowFiles(app, slow=48) as files:
        yield files


@pytest.fixture
def objects(services: dict[str, str]) -> Objects:
    return Objects(
        Settings.model_validate({k.removeprefix("AISHA_").lower(): v for k, v in services.items()})
    )


async def send(app: App, files: int, size: int = SIZE, *, kind: str = "voice") -> int:
    """Have a new person send files that nobody else has; return the chat."""
    chat = await app.control.user()
    for _ in range(files):
        path = app.folder / f"{os.urandom(8).hex()}.ogg"
        path.write_bytes(b"OggS" + os.urandom(size - 4))
        await app.control.ask("POST", f"/chats/{chat}/messages", kind=kind, path=str(path))
    return chat


async def stored(app: App, chat: int) -> int:
    rows = await app.query(
        "SELECT count(*) AS count FROM messages WHERE state = 'stored' AND chat_id = %s", chat
    )
    return int(rows[0]["count"])


async def has_stored(app: App, chat: int, count: int) -> bool:
    return await stored(app, chat) == count


def shows(app: App, chat: int, key: str) -> int:
    """Count the bot's messages in a chat that say this."""
    views = app.sandbox.core.messages.views(chat, limit=100)
    return sum(view["from_bot"] and view["message"].get("text") == TEXTS[key]["en"] for view in views)


async def test_downloads_that_never_end_do_not_delay_another_users_voice(app: App, slow: SlowFiles) -> None:
    await app.bot(AISHA_BOT_API_URL=slow.url).ready()
    hoarder = await send(app, 48)
    await until(lambda: _received(app, 48), "the bot to have them all")
    chat = await send(app, 2)
    await until(lambda: has_stored(app, chat, 2), "the other's voices", seconds=20)
    assert await stored(app, hoarder) == 0


async def test_a_large_file_needs_no_disk_and_lies_under_its_digest(
    app: App, objects: Objects, services: dict[str, str], tmp_path: Path
) -> None:
    await app.control.ask("PATCH", "/settings", file_limit=0)
    await app.bot(TMPDIR=str(tmp_path / "there-is-none")).ready()
    for _ in range(2):
        chat = await send(app, 1, 30 * 2**20, kind="video")
        await until(lambda chat=chat: has_stored(app, chat, 1), "the file")  # type: ignore[misc]
        [row] = await app.query("SELECT object_key, file_size FROM messages WHERE chat_id = %s", chat)
        content = await asyncio.to_thread(objects.read, row["object_key"])
        assert len(content) == row["file_size"]
        assert row["object_key"].rpartition("/")[2] == hashlib.sha256(content).hexdigest()
    assert keys(services, "incoming/") == []


async def test_a_file_that_telegram_lacks_for_a_moment_is_stored(app: App) -> None:
    await app.control.ask(
        "POST", "/faults", method="getFile", kind="error", code=400, description=UNAVAILABLE, times=3
    )
    await app.bot().ready()
    chat = await send(app, 1)
    await until(lambda: has_stored(app, chat, 1), "the file")


async def test_a_file_that_telegram_lacks_for_longer_is_gone(app: App) -> None:
    await app.control.ask(
        "POST", "/faults", method="getFile", kind="error", code=400, description=UNAVAILABLE, times=30
    )
    await app.bot(AISHA_FILE_PATIENCE="2").ready()
    chat = await send(app, 1)
    await until(lambda: shows(app, chat, "gone") == 1, "the answer")


async def test_a_user_with_much_in_hand_waits_and_others_do_not(app: App) -> None:
    bot = await app.bot(AISHA_STORED_BYTES_PER_USER=str(2 * SIZE)).ready()
    much = await send(app, 20)
    await until(lambda: _some_stored(app, much), "the first files")
    chat = await send(app, 1)
    await until(lambda: has_stored(app, chat, 1), "the other's file")
    await _waits(bot)
    assert 2 <= await stored(app, much) <= 6
    await app.query("UPDATE messages SET state = 'delivered' WHERE state = 'stored' AND chat_id = %s", much)
    await until(lambda: _some_stored(app, much), "the next ones")


@pytest.mark.parametrize(
    "limit", [{"AISHA_STORED_BYTES": str(2 * SIZE)}, {"AISHA_MIN_FREE_BYTES": str(2**60)}], ids=str
)
async def test_without_room_a_recording_waits_and_its_chat_says_so(app: App, limit: dict[str, str]) -> None:
    bot = await app.bot(**limit).ready()
    chat = await send(app, 3)
    await until(lambda: shows(app, chat, "no_room") >= 1, "the status")
    assert await stored(app, chat) <= 2
    assert await bot.stop() == 0
    await app.bot().ready()
    await app.query("UPDATE messages SET store_after = now()")
    await until(lambda: has_stored(app, chat, 3), "all of them, with room")


async def test_recordings_and_left_segments_go_a_day_after_their_answer(
    app: App, objects: Objects, services: dict[str, str]
) -> None:
    bot = await app.bot().ready()
    chats = [await send(app, 1) for _ in range(3)]
    for chat in chats:
        await until(lambda chat=chat: has_stored(app, chat, 1), "the file")  # type: ignore[misc]
    assert await bot.stop() == 0
    answered = (
        "UPDATE messages SET state = 'delivered', outcome = 'speech', segment_seconds = 30, delivered_at = "
    )
    await app.query(answered + "now() - interval '25 hours' WHERE chat_id = %s", chats[0])
    await app.query(answered + "now() - interval '23 hours' WHERE chat_id = %s", chats[1])
    rows = await app.query("SELECT id, object_key FROM messages ORDER BY id")
    with (app.folder / "segment").open("wb+") as file:
        await asyncio.to_thread(objects.put, f"segments/{rows[0]['id']}/00001", file, 0)
    await app.bot().ready()
    await until(lambda: _removed(app, 1), "the removal")
    assert keys(services, "segments/") == []
    kept = keys(services, "recordings/")
    assert [row["object_key"] in kept for row in rows] == [False, True, True]


async def test_answered_recordings_go_sooner_when_they_take_too_much_room(
    app: App, services: dict[str, str]
) -> None:
    bot = await app.bot().ready()
    chat = await send(app, 3)
    await until(lambda: has_stored(app, chat, 3), "the files")
    assert await bot.stop() == 0
    await app.query("UPDATE messages SET state = 'delivered', outcome = 'speech', delivered_at = now()")
    await app.bot(AISHA_STORED_BYTES=str(2 * SIZE)).ready()
    await until(lambda: _removed(app, 3), "the removal")


def keys(services: dict[str, str], prefix: str) -> list[str]:
    client = Minio(
        services["AISHA_S3_ENDPOINT"].removeprefix("http://"),
        services["AISHA_S3_ACCESS_KEY"],
        services["AISHA_S3_SECRET_KEY"],
        secure=False,
        region="us-east-1",
    )
    return [str(found.object_name) for found in client.list_objects("aisha", prefix, recursive=True)]


async def _received(app: App, count: int) -> bool:
    return (await app.query("SELECT count(*) AS count FROM messages"))[0]["count"] == count


async def _some_stored(app: App, chat: int) -> bool:
    return await stored(app, chat) >= 2


async def _removed(app: App, count: int) -> bool:
    asked = "SELECT count(*) AS count FROM messages WHERE object_removed_at IS NOT NULL"
    return (await app.query(asked))[0]["count"] == count


async def _waits(bot: Bot) -> None:
    """Let the bot look for what is due a few times."""
    for _ in range(3):
        await bot.state()
        await asyncio.sleep(0.3)
