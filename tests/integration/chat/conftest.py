"""PostgreSQL for all tests here, and people in empty chats for each."""

from collections.abc import AsyncIterator

import pytest
from tests.integration.chat.people import People
from tests.integration.postgres import address, migrated, pool

from aisha.database import workers
from aisha.settings import Settings

SETTINGS = Settings(default_language="en")
TABLES = "inbox, chats, messages, jobs, outbox, workers"


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with migrated(tmp_path_factory.mktemp("data")) as services:
        yield address(services)


@pytest.fixture
async def people(url: str) -> AsyncIterator[People]:
    async with pool(url, 8) as opened:
        async with opened.connection() as connection:
            await connection.execute(f"TRUNCATE {TABLES} CASCADE")
            await connection.run(workers.seen("host", 2, ["en", "fr", "ru"]))
        yield People(opened, SETTINGS)
