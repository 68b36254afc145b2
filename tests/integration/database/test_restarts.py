"""A work-horse that lost its session because PostgreSQL restarted has not died over its job."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

import psycopg
import pytest
from tests.integration.bots.harness import until
from tests.integration.database.test_statements import fill
from tests.integration.postgres import address, migrated

from aisha.database import jobs
from aisha.database.connect import connect
from aisha_embedded.services import Services


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    async with migrated(tmp_path_factory.mktemp("data")) as started:
        with connect(address(started)) as connection:
            fill(connection)
        yield started


async def restart(services: Services) -> None:
    await services.kill_and_restart("postgres")


async def crash_a_backend(services: Services) -> None:
    """The postmaster goes on and starts every other backend anew."""
    with connect(address(services)) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)
        with suppress(psycopg.OperationalError):
            while True:
                connection.execute("SELECT 1")


async def nothing(_: Services) -> None:
    pass


@pytest.mark.parametrize(
    ("happens", "attempts"),
    [(restart, 0), (crash_a_backend, 0), (nothing, 1)],
    ids=lambda each: str(each)[:18],
)
async def test_only_a_death_of_its_own_counts_as_an_attempt(
    happens: object, attempts: int, services: Services
) -> None:
    with connect(address(services)) as connection:
        connection.execute("UPDATE jobs SET attempts = 0, not_before = now()")
        [given] = connection.all(jobs.take("short", 4))
        assert connection.only(jobs.claim(given.id, "worker")).attempts == 1
    await happens(services)  # type: ignore[operator]
    await until(lambda: answers(services), "PostgreSQL")
    with connect(address(services)) as connection:
        assert connection.only(jobs.abandoned(given.id)) == jobs.Loss(1, attempts)


def answers(services: Services) -> bool:
    try:
        with connect(address(services)):
            return True
    except psycopg.OperationalError:
        return False
