"""Erases everything of a person who has asked for it, from PostgreSQL, S3 and Redis."""

import asyncio

import structlog
from redis import Redis

from aisha import texts
from aisha.database import chats, erasures, inbox, jobs, locks, messages, outbox
from aisha.database.connect import Connection, Pool
from aisha.database.erasures import Erasure
from aisha.database.messages import Forgotten
from aisha.lanes import rq_id, take_out
from aisha.objects import Objects
from aisha.threads import Threads

log = structlog.get_logger(__name__)

BATCH = 50
AGAIN_SECONDS = 0.5


class Eraser:
    """Carries out the requests of the table `erasures`. Each step may be repeated, so a crash costs nothing.

    1. What is under way was cancelled when the person asked; what another bot has accepted meanwhile is cancelled now.
    2. Message by message, under the locks of those who could still work on it: its objects, its jobs in Redis, its
       rows. A recording that somebody else has sent too stays.
    3. When no message is left, the rest goes: updates, what the bot has said, what is remembered of the private chat.
    4. The person is told. Then the notice's row and the request are deleted too.
    """

    def __init__(self, pool: Pool, redis: Redis, objects: Objects) -> None:
        self._pool, self._redis, self._objects = pool, redis, objects
        self._threads = Threads("erase")

    async def step(self) -> None:
        """Carry out every request."""
        while await self._any_left():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(AGAIN_SECONDS)

    async def _any_left(self) -> bool:
        async with self._pool.connection() as connection:
            asked = await connection.all(erasures.all_open())
            for erasure in asked:
                await (
                    self._close(connection, erasure) if erasure.done_at else self._erase(connection, erasure)
                )
        return bool(asked)

    async def _erase(self, connection: Connection, erasure: Erasure) -> None:
        await cancel(connection, erasure)
        busy: list[int] = []
        while batch := await connection.all(messages.forgotten(erasure, busy, BATCH)):
            busy += [each.id for each in batch if not await self._erase_message(connection, each)]
        if not await connection.only(messages.unforgotten(erasure)):
            await self._erase_rest(connection, erasure)

    async def _erase_message(self, connection: Connection, message: Forgotten) -> bool:
        """Erase one message; return whether nobody was at work on it."""
        async with connection.transaction():
            given = await connection.all(jobs.of(message.id))
            for name in (f"store:{message.id}", *(jobs.lock_name(job.id) for job in given)):
                if not await connection.only(locks.try_acquire_for_transaction(name)):
                    return False
            await self._threads.run(self._erase_objects, message)
            carried = [rq_id(job.id, n) for job in given for n in range(1, job.dispatches + 1)]
            await self._threads.run(take_out, self._redis, carried)
            await connection.run(messages.erase([message.id]))
        return True

    def _erase_objects(self, message: Forgotten) -> None:
        self._objects.remove_below(f"segments/{message.id}/")
        self._objects.remove(f"incoming/{message.id}")
        if message.object_key and not message.shared:
            self._objects.remove(message.object_key)

    async def _erase_rest(self, connection: Connection, erasure: Erasure) -> None:
        if await connection.only(inbox.unhandled_of(erasure)):
            return
        async with connection.durable():
            await connection.run(outbox.erase(erasure))
            await connection.run(inbox.erase(erasure))
            await connection.run(chats.forget(erasure.user_id))
            await connection.run(outbox.announce(erasure.notice, texts.say("forgotten", erasure.interface)))
            await connection.run(erasures.done(erasure.id))
        log.info("a person was forgotten", erasure=erasure.id)

    async def _close(self, connection: Connection, erasure: Erasure) -> None:
        async with connection.durable():
            if notice := await connection.one(erasures.said(erasure.id)):
                await connection.run(outbox.delete(notice))


async def cancel(connection: Connection, erasure: Erasure) -> None:
    """End what is under way of a person; statuses that Telegram shows say so."""
    await connection.run(messages.cancel(erasure))
    await connection.run(jobs.cancel(erasure))
    await connection.run(outbox.cancel(erasure))
    await connection.run(outbox.withdraw(erasure, texts.say("withdrawn", erasure.interface)))
