"""Fencing: a process that others have declared dead can neither write, acknowledge nor send."""

import asyncio
import os
from collections.abc import AsyncIterator

import psycopg
import pytest
from aiogram import Bot
from aiogram.client.telegram import TelegramAPIServer
from tests.integration.bots.harness import App

from aisha.database import presence as presences
from aisha.database.connect import Pool, Wakeups, connect_async, open_pool
from aisha.database.leases import Lease, LostLeaseError
from aisha.database.locks import locked
from aisha.database.presence import LapsedError, Presence
from aisha.receive.inbox import commit
from aisha.session import GuardedSession


class Member:
    """A bot's presence with its pool and one lease, with heartbeats on demand."""

    def __init__(self, app: App) -> None:
        self.address = app.environment["AISHA_DATABASE_URL"]
        self.presence = Presence(self.address, "polling", Wakeups(self.address, ("lease",)))
        self.lease = Lease("poll", self.presence.id, lambda: self.presence.valid, self._wanted)
        self.presence.leases.append(self.lease)
        self.pool: Pool = open_pool(self.address, 4, self.presence.id, self.presence.admit)

    async def __aenter__(self) -> "Member":
        await self.presence.__aenter__()
        await self.pool.open()
        await self.beat()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pool.close()

    async def beat(self) -> None:
        async with await connect_async(self.address, application_name=self.presence.id) as connection:
            await self.presence._beat(connection)

    async def _wanted(self, _: object) -> bool:
        return True


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which this process would have exited."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    return statuses


@pytest.fixture
async def first(app: App) -> AsyncIterator[Member]:
    async with Member(app) as member:
        yield member


@pytest.fixture
async def second(app: App, first: Member) -> AsyncIterator[Member]:
    async with Member(app) as member:
        yield member


async def lapse(app: App, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """Age a row, and the member's clock, as after a long stop."""
    await app.query("UPDATE bots SET expires = now() - interval '1 second' WHERE id = %s", member.presence.id)
    monkeypatch.setattr(member.presence, "_valid_until", 0.0)


async def test_the_lease_is_one_bots_at_a_time_and_its_token_grows(
    app: App, first: Member, second: Member
) -> None:
    assert (first.lease.held, second.lease.held) == (True, False)
    token = first.lease.token
    async with first.pool.connection() as connection:
        await first.lease.close(connection)
    await second.beat()
    await first.beat()
    assert (first.lease.held, second.lease.held) == (False, True)
    assert second.lease.token == (token or 0) + 1


async def test_a_batch_of_one_who_has_lost_the_lease_is_not_committed(app: App, first: Member) -> None:
    await commit(first.pool, [{"update_id": 1}], "polling", first.lease)
    await app.query("UPDATE leases SET holder = 'another', token = token + 1")
    with pytest.raises(LostLeaseError):
        await commit(first.pool, [{"update_id": 2}], "polling", first.lease)
    assert await app.query("SELECT update_id FROM inbox") == [{"update_id": 1}]


async def test_a_silent_bots_locks_are_freed_and_its_transaction_ends(
    app: App, first: Member, second: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with first.pool.connection() as mine:
        await mine.execute("SELECT pg_advisory_lock(hashtextextended('chat:5', 0))")
        await lapse(app, first, monkeypatch)
        await second.beat()
        await asyncio.sleep(0.3)
        async with locked(second.pool, "chat:5") as taken:
            assert taken
        with pytest.raises(psycopg.OperationalError):
            await mine.execute("INSERT INTO inbox (update_id, update) VALUES (7, '{}')")
    await second.beat()
    assert second.lease.held


async def test_a_bot_that_stopped_while_it_proved_its_lease_does_not_keep_it(
    app: App, first: Member, second: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with first.pool.connection() as mine:
        await mine.execute("BEGIN")
        await first.lease.prove(mine)
        await lapse(app, first, monkeypatch)
        async with asyncio.timeout(20):
            await second.beat()
        with pytest.raises(psycopg.OperationalError):
            await mine.execute("COMMIT")
    assert second.lease.held


async def test_a_bot_that_was_fenced_gets_no_new_session(
    app: App, first: Member, second: Member, ended: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await lapse(app, first, monkeypatch)
    await second.beat()
    async with await connect_async(first.address, application_name=first.presence.id) as connection:
        await first.presence.admit(connection)
    assert presences.FENCED_STATUS in ended


async def test_a_bot_that_lives_is_left_alone(app: App, first: Member, second: Member) -> None:
    for _ in range(3):
        await second.beat()
        await first.beat()
    assert len(await app.query("SELECT id FROM bots")) == 2


async def test_nothing_is_sent_by_one_that_has_lapsed(
    app: App, first: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = GuardedSession(first.presence.check, api=TelegramAPIServer.from_base(app.sandbox.url))
    chat = await app.control.user()
    async with Bot(app.sandbox.token, session=session) as bot:
        await bot.send_message(chat, "once")
        await lapse(app, first, monkeypatch)
        with pytest.raises(LapsedError):
            await bot.send_message(chat, "twice")
    calls = await app.control.ask("GET", "/calls")
    assert [call["method"] for call in calls["calls"]] == ["sendMessage"]


async def test_a_stop_while_a_call_waits_for_its_connection_is_noticed(app: App) -> None:
    checks = iter([False, True])

    def lapses_at_the_second_look() -> None:
        if next(checks):
            raise LapsedError("late")

    session = GuardedSession(lapses_at_the_second_look, api=TelegramAPIServer.from_base(app.sandbox.url))
    async with Bot(app.sandbox.token, session=session) as bot:
        with pytest.raises(LapsedError):
            await bot.get_me()
    assert (await app.control.ask("GET", "/calls"))["calls"] == []
