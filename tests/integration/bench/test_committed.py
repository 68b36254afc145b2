"""The benchmark's query, on the app's own tables with what the app's own code writes to them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.bench.roll.committed import Committed, committed, database
from tests.bench.roll.updates import ANSWERED_EVERY, body

from aisha.database import outbox
from aisha.database.connect import Connection, open_pool
from aisha.database.migrate import migrate
from aisha.receive.inbox import commit
from aisha_embedded.services import Services, erase

ANSWERED = 1_700_000_000_000_000 // ANSWERED_EVERY * ANSWERED_EVERY
POSTED = range(ANSWERED, ANSWERED + 20)
HANDLED = "UPDATE inbox SET handled_at = now()"


async def admit(_: Connection) -> None:
    """Admit every session."""


@pytest.fixture
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    data_dir = tmp_path_factory.mktemp("data")
    async with Services.start(data_dir, want={"postgres"}) as services:
        address = services.environment["AISHA_DATABASE_URL"]
        await asyncio.to_thread(migrate, address)
        yield address
    erase(data_dir)


async def test_what_was_committed_handled_and_answered_is_told_from_what_was_not(url: str) -> None:
    async with open_pool(url, 4, "bench", admit) as pool, pool.connection() as connection:
        await commit(pool, [json.loads(body(each)) for each in POSTED[:-1]], source="webhook")
        await commit(pool, [json.loads(body(each)) for each in POSTED[:-1]], source="webhook")
        found = await looked(url)
        assert (found.lost, found.doubled, found.unhandled) == ([POSTED[-1]], [], [*POSTED[:-1]])

        await connection.execute(HANDLED)
        assert (await looked(url)).unhandled == [ANSWERED]
        await connection.run(outbox.reply(ANSWERED, "an answer"))
        assert await looked(url) == Committed([POSTED[-1]], [], [])
        await connection.run(outbox.reply(ANSWERED, "another answer"))
        assert (await looked(url)).doubled == [ANSWERED]


async def looked(url: str) -> Committed:
    return await asyncio.to_thread(committed, database(url), POSTED, 0)
