"""The benchmark's query, on the app's own tables with what the app's own code writes to them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from tests.bench.roll.committed import Committed, committed, database
from tests.bench.roll.updates import ANSWERED_EVERY, body
from tests.integration.postgres import address, migrated, pool

from aisha.database import outbox
from aisha.receive.inbox import commit

ANSWERED = 1_700_000_000_000_000 // ANSWERED_EVERY * ANSWERED_EVERY
POSTED = range(ANSWERED, ANSWERED + 20)
HANDLED = "UPDATE inbox SET handled_at = now()"


@pytest.fixture
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with migrated(tmp_path_factory.mktemp("data")) as services:
        yield address(services)


async def test_what_was_committed_handled_and_answered_is_told_from_what_was_not(url: str) -> None:
    async with pool(url) as opened, opened.connection() as connection:
        await commit(opened, [json.loads(body(each)) for each in POSTED[:-1]], source="webhook")
        await commit(opened, [json.loads(body(each)) for each in POSTED[:-1]], source="webhook")
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
