"""PostgreSQL alone, with the schema that the migrations make, for tests that need no other service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aisha.database.connect import Connection, Pool, open_pool
from aisha.database.migrate import migrate
from aisha_embedded.services import Services, erase


@asynccontextmanager
async def migrated(data_dir: Path) -> AsyncIterator[Services]:
    """Start it on a folder, which is erased afterwards."""
    async with Services.start(data_dir, want={"postgres"}) as started:
        await asyncio.to_thread(migrate, address(started))
        yield started
    erase(data_dir)


def address(services: Services) -> str:
    return services.environment["AISHA_DATABASE_URL"]


def pool(url: str, size: int = 4) -> Pool:
    """Return a pool that admits every session."""
    return open_pool(url, size, "test", _admit)


async def _admit(_: Connection) -> None:
    """Admit a session."""
