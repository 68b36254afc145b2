"""Services for all tests here; a sandbox, an empty database and no bots for each."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.integration.bots.harness import Alternation, App, Crowd

from aisha.database.migrate import migrate
from aisha_embedded.services import Services, erase
from aisha_sandbox.server import Sandbox

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """The services, with their process numbers."""
    data_dir = tmp_path_factory.mktemp("data")
    async with Services.start(data_dir) as started:
        migrate(started.environment["AISHA_DATABASE_URL"])
        yield started
    erase(data_dir)


@pytest.fixture(scope="module")
def services(running: Services) -> dict[str, str]:
    return running.environment


@pytest.fixture
async def app(services: dict[str, str], tmp_path: Path) -> AsyncIterator[App]:
    async with Sandbox.open(tmp_path / "sandbox") as sandbox, aiohttp.ClientSession() as http:
        app = App(services, sandbox, http, tmp_path)
        tables = ", ".join(row["tablename"] for row in await app.query(TABLES))
        await app.query(f"TRUNCATE {tables} CASCADE")
        yield app
        await app.end()


@pytest.fixture
async def crowd(app: App) -> Crowd:
    crowd = Crowd(app)
    await crowd.gather(20)
    return crowd


@pytest.fixture
async def proxy(app: App) -> AsyncIterator[Alternation]:
    async with Alternation(app.http) as proxy:
        yield proxy
