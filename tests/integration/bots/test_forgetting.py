"""/forget leaves nothing of a person in PostgreSQL, S3 and Redis, and nothing that was under way is answered."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis
from tests.e2e.media import samples, write
from tests.integration.bots.harness import App, Bot, Worker, until
from tests.integration.embedded.clients import s3
from tests.speech import librivox, prompts

TOLD = "SELECT id FROM erasures"
SECRET = "xylophone"
"""A word that Ann writes."""


@dataclass
class Party:
    """Ann, who wants to be forgotten; Bob, who does not; and a group of both."""

    app: App
    ann: int
    bob: int
    club: int

    async def send(self, sender: int, chat: int, path: Path, **fields: Any) -> int:
        sent = await self.app.control.ask(
            "POST",
            f"/chats/{chat}/messages",
            **{"from": sender},
            kind="voice",
            path=str(path),
            **fields,
        )
        return int(sent["message"]["message_id"])

    async def ask(self, person: int, chat: int) -> int:
        """Have a person write /forget; return the message with the question."""
        said = await self.app.control.ask(
            "POST", f"/chats/{chat}/messages", **{"from": person}, text="/forget"
        )
        asked = int(said["message"]["message_id"])
        return int(await until(lambda: self._question(chat, asked), "the question"))

    def _question(self, chat: int, after: int) -> int | None:
        found = [view["message"] for view in self._views(chat) if view["message"]["message_id"] > after]
        return next((message["message_id"] for message in found if message.get("reply_markup")), None)

    async def press(self, person: int, chat: int, question: int, answer: str) -> str:
        """Have somebody press a button of Ann's question; return the toast."""
        pressed = await self.app.control.ask(
            "POST",
            f"/chats/{chat}/messages/{question}/press",
            data=f"forget:{answer}:{self.ann}",
            user_id=person,
        )
        path = f"/callbacks/{pressed['callback_query_id']}?timeout=20"
        return str((await self.app.control.ask("GET", path))["answer"]["text"])

    async def forget(self, chat: int) -> None:
        """Have Ann ask and confirm, and wait until she is told that it is done."""
        question = await self.ask(self.ann, chat)
        assert await self.press(self.ann, chat, question, "yes") == "Deleting…"
        await until(lambda: "has been deleted" in self.text(chat, question), "the notice")
        await until(self._closed, "the request to be deleted")

    async def _closed(self) -> bool:
        return not await self.app.query(TOLD)

    def text(self, chat: int, message: int) -> str:
        view = next(view for view in self._views(chat) if view["message"]["message_id"] == message)
        return str(view["message"].get("text", ""))

    def texts(self, chat: int) -> list[str]:
        """Return what the bot's messages say."""
        return [view["message"].get("text", "") for view in self._views(chat) if view["from_bot"]]

    def _views(self, chat: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.app.sandbox.core.messages.views(chat, limit=200)
        return found


@pytest.fixture
async def party(app: App) -> Party:
    ann = await app.control.user(first_name="Ann", username="ann_of_the_test")
    bob = await app.control.user(first_name="Bob")
    club = await app.control.ask("POST", "/chats", type="supergroup", title="Club", members=[ann, bob])
    return Party(app, ann, bob, int(club["id"]))


@pytest.fixture
async def bot(app: App) -> Bot:
    return await app.bot().ready()


@pytest.fixture
async def worker(app: App, models_dir: Path) -> AsyncIterator[Worker]:
    worker = await Worker(app, models_dir).ready()
    yield worker
    if worker.process.poll() is None:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four short voices."""
    folder = tmp_path_factory.mktemp("voices")
    clips = [*librivox()[:2], *prompts()[:2]]
    return [write(folder / f"{number}.ogg", samples(clip.path)) for number, clip in enumerate(clips)]


async def rows(app: App) -> Iterator[str]:
    """Yield every row of every table as text."""
    tables = await app.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    found: list[str] = []
    for table in tables:
        name = table["tablename"]
        found += [
            f"{name} {row['row']}" for row in await app.query(f"SELECT to_json(t)::text AS row FROM {name} t")
        ]
    return iter(found)


def keys(app: App) -> Iterator[str]:
    """Yield every key of Redis with its value."""
    readers = {"hash": "hgetall", "list": "lrange", "set": "smembers", "zset": "zrange", "string": "get"}
    with Redis.from_url(app.environment["AISHA_REDIS_URL"]) as redis:
        for key in redis.scan_iter():
            kind = redis.type(key).decode()
            bounds = (0, -1) if kind in ("list", "zset") else ()
            value = getattr(redis, readers[kind])(key, *bounds) if kind in readers else ""
            yield f"{key!r} {value!r}"


def objects(app: App) -> set[str]:
    """Return the key of every object."""
    found = s3(app.environment).list_objects(app.environment["AISHA_S3_BUCKET"], recursive=True)
    return {str(each.object_name) for each in found}


async def traces(app: App, *sought: object) -> list[str]:
    """Return what any store has with any of these words."""
    pattern = re.compile(rf"\b(?:{'|'.join(re.escape(str(each)) for each in sought)})\b")
    held = [*await rows(app), *keys(app), *objects(app)]
    return [each for each in held if pattern.search(each)]


async def known_of(app: App, person: int) -> list[str]:
    """Return Telegram's and our names for what a person has sent, and the texts."""
    found = await app.query("SELECT * FROM messages WHERE user_id = %s", person)
    names = [row[column] for row in found for column in ("file_id", "object_key", "text") if row[column]]
    return [str(name) for name in names]


async def _delivered(app: App, count: int) -> bool:
    return len(await app.query("SELECT id FROM messages WHERE state = 'delivered'")) == count


async def test_nothing_of_a_person_is_left_in_any_store(
    app: App, bot: Bot, party: Party, worker: Worker, voices: list[Path]
) -> None:
    own, both, in_group, waiting = voices
    await party.send(party.ann, party.ann, own, caption=f"my {SECRET}")
    await party.send(party.bob, party.bob, both)
    await until(lambda: _delivered(app, 2), "the first answers")
    await party.send(party.ann, party.ann, both)
    said = await party.send(party.ann, party.club, in_group)
    await app.control.ask(
        "POST", f"/chats/{party.club}/messages", **{"from": party.bob}, text="I see", reply_to=said
    )
    await app.control.say(party.ann, f"my other {SECRET}")
    await app.query("INSERT INTO chats (chat_id, language) VALUES (%s, 'en')", party.ann)
    await until(lambda: _delivered(app, 4), "all answers")

    worker.process.terminate()
    await worker.ended()
    await party.send(party.ann, party.ann, waiting)
    await until(lambda: app.query("SELECT id FROM jobs WHERE state = 'queued'"), "a job in Redis")
    kept = {
        row["object_key"] for row in await app.query("SELECT * FROM messages WHERE user_id = %s", party.bob)
    }
    sought = [name for name in await known_of(app, party.ann) if name not in kept]
    sought = [name for name in sought if name not in await known_of(app, party.bob)]
    assert len(sought) >= 6
    assert await traces(app, party.ann, *sought, SECRET)

    await party.forget(party.ann)
    assert await traces(app, party.ann, "ann_of_the_test", SECRET, *sought) == []
    assert kept <= objects(app)
    assert len(await app.query("SELECT id FROM messages WHERE user_id = %s AND text <> ''", party.bob)) == 1
    assert [text for text in party.texts(party.ann) if text.startswith(("🎧", "⏳"))] == []
    assert party.texts(party.ann).count("Deleted, as its sender asked.") == 1


async def test_what_is_being_worked_on_is_cancelled_and_erased_when_that_ends(
    app: App, bot: Bot, party: Party, voices: list[Path]
) -> None:
    """A session that holds the job's lock stands for a work-horse, which still stores a segment."""
    await app.query("INSERT INTO workers (name, concurrency, languages) VALUES ('w', 1, '{en}')")
    await party.send(party.ann, party.ann, voices[0])
    [job] = await until(lambda: app.query("SELECT id, message FROM jobs"), "a job")
    address = app.environment["AISHA_DATABASE_URL"]
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as horse:
        await horse.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"job:{job['id']}"])
        question = await party.ask(party.ann, party.ann)
        await party.press(party.ann, party.ann, question, "yes")
        await until(lambda: "Deleted, as its sender asked." in party.texts(party.ann), "the cancelled status")
        segment = f"segments/{job['message']}/00001"
        s3(app.environment).put_object(app.environment["AISHA_S3_BUCKET"], segment, io.BytesIO(b"x"), 1)
        await asyncio.sleep(1)
        assert await app.query("SELECT id FROM messages WHERE text IS NULL AND outcome IS NULL")
        assert party.text(party.ann, question) == "Deleting…"
    await until(lambda: "has been deleted" in party.text(party.ann, question), "the notice")
    await until(party._closed, "the request to be deleted")
    assert await traces(app, party.ann) == []
    assert segment not in objects(app)


async def test_only_who_asked_decides_and_a_no_or_a_forged_button_changes_nothing(
    app: App, bot: Bot, party: Party
) -> None:
    question = await party.ask(party.ann, party.club)
    assert "Only who asked" in await party.press(party.bob, party.club, question, "yes")
    assert await party.press(party.ann, party.club, question, "no") == "Nothing was deleted."
    await until(lambda: party.text(party.club, question) == "Nothing was deleted.", "the edit")
    update = {
        "callback_query": {
            "id": "1",
            "from": {"id": party.ann, "is_bot": False, "first_name": "Ann"},
            "chat_instance": "1",
            "data": f"forget:yes:{party.ann}",
            "message": {"message_id": question, "date": 1, "chat": {"id": party.club, "type": "supergroup"}},
        }
    }
    handled = len(await app.query("SELECT * FROM inbox WHERE handled_at IS NOT NULL"))
    await app.control.ask("POST", "/updates", **update)
    await until(lambda: _handled(app, handled + 1), "the forged press")
    assert await app.query(TOLD) == []
    assert await app.query("SELECT * FROM inbox WHERE update -> 'message' ->> 'text' = '/forget'")


async def _handled(app: App, count: int) -> bool:
    return len(await app.query("SELECT * FROM inbox WHERE handled_at IS NOT NULL")) == count


async def test_privacy_says_how_long_and_what_the_operator_adds(app: App, party: Party) -> None:
    notice = "Run by Carol, carol at example dot org."
    await app.bot(AISHA_KEEP_DAYS="31", AISHA_PRIVACY_NOTICE=notice).ready()
    await app.control.say(party.bob, "/privacy")
    [said] = await until(lambda: party.texts(party.bob), "the answer")
    assert "31 days" in said
    assert said.endswith(notice)
