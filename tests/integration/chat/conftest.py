"""PostgreSQL for all tests here, and people in empty chats for each."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.chat.people import People

from aisha.database import workers
from aisha.database.connect import Connection, open_pool
from aisha.database.migrate import migrate
from aisha.settings import Settings
from aisha_embedded.services import Services, erase

SETTINGS = Settings(default_language="en")
TABLES = "inbox, chats, messages, jobs, outbox, workers"


@pytest.fixture(scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    data_dir = tmp_path_factory.mktemp("data")
    async with Services.start(data_dir, want={"postgres"}) as services:
        address = services.environment["AISHA_DATABASE_URL"]
        await asyncio.to_thread(migrate, address)
        yield address
    erase(data_dir)


async def _admit(_: Connection) -> None:
    return None


@pytest.fixture
async def people(url: str) -> AsyncIterator[People]:
    async with open_pool(url, 8, "test", _admit) as pool:
        async with pool.connection() as connection:
            await connection.execute(f"TRUNCATE {TABLES} CASCADE")
            await connection.run(workers.seen("host", 2, ["en", "fr", "ru"]))
        yield People(pool, SETTINGS)
