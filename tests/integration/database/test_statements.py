"""Every statement of every room, on the schema that the migrations make."""

import inspect
import types
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from psycopg.types.json import Jsonb
from tests.integration.postgres import address, migrated, pool

from aisha.database import (
    bots,
    chats,
    erasures,
    inbox,
    jobs,
    leases,
    locks,
    messages,
    outbox,
    receiving,
    workers,
)
from aisha.database.connect import BlockingConnection, connect, connect_async
from aisha.database.retention import forget_old
from aisha.database.statement import Statement
from aisha.database.timing import unpack
from aisha.lanes import SHORT_BYTES, SHORT_SECONDS

ROOMS = (messages, jobs, outbox, inbox, chats, workers, bots, leases, receiving, locks, erasures)
PLAIN: dict[Any, Any] = {
    int: 1,
    float: 1.0,
    str: "1",
    bool: True,
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    list[list[Any]]: [["1", 0.0, 1.0, 1.0]],
    leases.Values: {"name": "poll", "holder": "1", "token": 1, "ttl": 5},
}
UNLOCK = "SELECT pg_advisory_unlock_all()"


def statements() -> Iterator[Any]:
    """Each function of a room that makes a statement."""
    for room in ROOMS:
        for name, function in inspect.getmembers(room, inspect.isfunction):
            made_here = function.__module__ == room.__name__ and not name.startswith("_")
            if made_here and get_origin(get_type_hints(function).get("return")) is Statement:
                yield pytest.param(function, id=f"{room.__name__.rpartition('.')[2]}.{name}")


def example(kind: Any) -> Any:
    """A value of a type."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return arguments[0]
    if origin in (Union, types.UnionType):
        return example(arguments[0])
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: example(hints[field.name]) for field in fields(kind)})  # type: ignore[operator]
    if arguments and is_dataclass(arguments[0]):
        return [example(arguments[0])]
    return {} if origin is dict else ["1"] if arguments == (str,) else [1]


def made(function: Callable[..., Statement[Any]]) -> Statement[Any]:
    """The statement that a function makes of examples."""
    kinds = {name: kind for name, kind in get_type_hints(function).items() if name != "return"}
    return function(**{name: example(kind) for name, kind in kinds.items()})


def fill(connection: BlockingConnection) -> None:
    """Put a row into every table, so that a statement finds one."""
    message = connection.only(messages.accept(example(messages.Received)))
    assert message == 1
    connection.run(messages.stored(message, "1", 1))
    connection.run(jobs.add(message, 1, "short", 1.0, "1"))
    connection.run(outbox.write_status(message, 1, 1, "1"))
    connection.run(inbox.add(1, {"update_id": 1}, 1, 1))
    connection.run(chats.choose(1, "1"))
    connection.run(workers.seen("1", 1, ["1"]))
    connection.run(bots.join("2", "polling"))
    connection.run(leases.take({**PLAIN[leases.Values]}))
    connection.run(receiving.record_mode("polling"))
    connection.run(erasures.add(2, 2, "en", 1))


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with migrated(tmp_path_factory.mktemp("data")) as services:
        with connect(address(services)) as connection:
            fill(connection)
        yield address(services)


@pytest.mark.parametrize("function", [*statements()])
async def test_a_statement_runs_alike_for_a_bot_and_for_a_worker(
    function: Callable[..., Statement[Any]], url: str
) -> None:
    statement = made(function)
    with connect(url) as connection, connection.transaction(force_rollback=True):
        changed = connection.run(statement)
        connection.execute(UNLOCK)
    async with await connect_async(url) as other, other.transaction(force_rollback=True):
        assert await other.run(statement) == changed
        await other.execute(UNLOCK)


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (messages.by_id("1"), messages.Message),
        (messages.newest(), messages.Message),
        (messages.locked(1), messages.Message),
        (messages.begin(1), messages.Message),
        (jobs.of(1), jobs.Job),
        (jobs.take("short", 1), jobs.Dispatch),
        (jobs.open_in_order(SHORT_BYTES, SHORT_SECONDS), jobs.Open),
        (messages.place(1), messages.Place),
        (outbox.of(1), outbox.Outgoing),
        (outbox.next_due(1), outbox.Outgoing),
        (outbox.known_ids(1, 0), outbox.Known),
        (outbox.known_ids(-(10**13), 0), None),
        (inbox.next_unhandled(), inbox.Unhandled),
        (workers.capacity(), int),
        (workers.languages(), str),
        (chats.language(1), str),
        (bots.silent("1"), bots.Silent),
    ],
    ids=lambda value: value.sql.split()[0] if isinstance(value, Statement) else None,
)
def test_a_statement_gives_rows_of_its_class(statement: Statement[Any], row: type | None, url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        assert [type(found) for found in connection.all(statement)] == ([row] if row else [])


async def heard(url: str, statement: Statement[Any]) -> list[str]:
    """The stages that a statement wakes, among those with a listener elsewhere."""
    with connect(url) as listening:
        listening.execute("LISTEN aisha")
        async with await connect_async(url) as connection:
            await connection.run(statement)
        return [each.payload for each in listening.notifies(timeout=0.5)]


async def test_a_change_wakes_its_stage_and_no_change_wakes_none(url: str) -> None:
    assert await heard(url, workers.seen("2", 1, ["1"])) == ["dispatch"]
    assert await heard(url, messages.refuse(1, "gone", "not received")) == []
    assert await heard(url, messages.refuse(99, "gone", "nothing there")) == []


def test_a_job_that_a_worker_gives_back_was_no_attempt_and_one_that_was_abandoned_was(url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.all(jobs.take("short", 4))
        claimed = connection.only(jobs.claim(1, "worker"))
        assert claimed.attempts == 1
        assert connection.only(jobs.given_back(1, "a service")) == jobs.Loss(1, 0)

        connection.all(jobs.take("short", 4))
        connection.only(jobs.claim(1, "worker"))
        assert connection.only(jobs.abandoned(1)) == jobs.Loss(1, 1)


def test_a_job_that_was_given_to_redis_again_is_not_called_forgotten(url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        [given] = connection.all(jobs.take("short", 4))
        assert connection.one(jobs.forgotten(given.id, given.dispatches - 1)) is None
        assert connection.one(jobs.abandoned(given.id)) is None
        assert connection.only(jobs.forgotten(given.id, given.dispatches)) == jobs.Loss(1, 0)


NEW_JOB = """
    WITH message AS (
        INSERT INTO messages (update_id, chat_id, message_id, user_id, kind, file_id, file_unique_id, language,
                              interface)
        SELECT 0, %(person)s, 100 + count(*), %(person)s, 'voice', '', '', 'en', 'en' FROM messages RETURNING id)
    INSERT INTO jobs (message, user_id, lane, object_key, created_at)
    SELECT id, %(person)s, 'short', '', clock_timestamp() FROM message
"""


def take_one(connection: BlockingConnection) -> int:
    """Give one job to Redis, as a dispatcher does at a moment of its own, and return whose it is."""
    [taken] = connection.all(jobs.take("short", 1 + in_redis(connection)))
    row = connection.execute(
        "UPDATE jobs SET queued_at = clock_timestamp() WHERE id = %s RETURNING user_id", [taken.id]
    ).fetchone()
    assert row
    return int(row["user_id"])


def in_redis(connection: BlockingConnection) -> int:
    row = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()
    assert row
    return int(row["count"])


def test_a_newcomer_has_the_next_turn_though_many_others_have_a_job_each_at_a_time(url: str) -> None:
    """Six people with a hundred voices each keep all places in Redis taken; a seventh comes."""
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM jobs")
        for person in range(6):
            for _ in range(20):
                connection.execute(NEW_JOB, {"person": person})
        for _ in range(6):
            take_one(connection)
        connection.execute(NEW_JOB, {"person": 7})
        taken = []
        for _ in range(7):
            connection.execute(
                "UPDATE jobs SET state = 'done' WHERE id = (SELECT id FROM jobs WHERE state = 'queued'"
                " ORDER BY queued_at LIMIT 1)"
            )
            taken.append(take_one(connection))
    assert 7 in taken


def test_the_open_jobs_come_in_the_order_of_the_queue(url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.execute("DELETE FROM jobs")
        connection.execute(NEW_JOB, {"person": 1})
        connection.execute(NEW_JOB, {"person": 2})
        [queued] = connection.all(jobs.take("short", 1))
        connection.execute(NEW_JOB.replace("'short'", "'long'"), {"person": 3})
        found = connection.all(jobs.open_in_order(SHORT_BYTES, SHORT_SECONDS))
        assert [(each.user_id, each.state, each.uncut) for each in found[:3]] == [
            (1, "queued", False), (2, "waiting", False), (3, "waiting", True)
        ]  # fmt: skip
        assert found[0].message == queued.message
        assert all(each.state == "received" for each in found[3:])


WORDS = [["hello", 0.3, 0.9, 1.0], ["world", 0.9, 1.41, 0.87]]


async def test_words_of_the_release_before_become_times_and_old_messages_go(url: str) -> None:
    """That release writes text and words, and what it has sent still has its text."""
    with connect(url) as connection:
        connection.run(messages.accept(replace(example(messages.Received), message_id=7)))
        connection.execute(
            "UPDATE messages SET state = 'delivered', outcome = 'speech', text = 'hello world', words = %s,"
            " received_at = now() - interval '9 days', delivered_at = now() - interval '9 days' WHERE message_id = 7",
            [Jsonb(WORDS)],
        )
        connection.execute(
            "INSERT INTO outbox (chat_id, text, shown) VALUES (7, 'hello world', 1), (7, 'next', 0)"
        )
        async with pool(url) as opened:
            await forget_old(opened, keep_days=10)
            kept = connection.execute(
                "SELECT text, words, times FROM messages WHERE message_id = 7"
            ).fetchall()
            assert [(row["text"], row["words"]) for row in kept] == [("hello world", None)]
            assert unpack("hello world", kept[0]["times"]) == WORDS
            texts = connection.execute("SELECT text FROM outbox WHERE chat_id = 7 ORDER BY id").fetchall()
            assert [row["text"] for row in texts] == ["", "next"]
            await forget_old(opened, keep_days=8)
        assert [row["id"] for row in connection.execute("SELECT id FROM messages")] == [1]


def test_a_text_is_emptied_once_it_is_shown_and_not_before(url: str) -> None:
    """A row that has changed while it was being shown is shown again."""
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.run(outbox.write_answer(1, 1, 1, 0, "first"))
        [row] = connection.all(outbox.of(1))
        connection.run(outbox.write_answer(1, 1, 1, 0, "second"))
        connection.run(outbox.shown(row.id, row.version, 5))
        assert [(each.text, each.shown < each.version) for each in connection.all(outbox.of(1))] == [
            ("second", True)
        ]
        connection.run(outbox.shown(row.id, row.version + 1, 5))
        assert [(each.text, each.shown < each.version) for each in connection.all(outbox.of(1))] == [
            ("", False)
        ]


def test_a_repeat_is_answered_with_text_and_times(url: str) -> None:
    with connect(url) as connection, connection.transaction(force_rollback=True):
        connection.run(messages.begin(1))
        connection.run(messages.transcribed(1, "speech", text="hello world", words=WORDS, seconds=2))
        connection.run(messages.accept(replace(example(messages.Received), message_id=8)))
        again = connection.only(messages.by_telegram("1", "8"))
        connection.run(messages.copy_known(again.id, "1", file_unique_id="1"))
        copied = connection.only(messages.by_id(str(again.id)))
        assert (copied.text, copied.outcome) == ("hello world", "speech")
        assert copied.times
        assert unpack("hello world", copied.times) == WORDS
