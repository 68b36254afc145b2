"""Services whose certificates are of an authority of one's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from tests.integration.tls.terminator import Authority, encrypted

from aisha.database.connect import connect
from aisha.errors import ServiceError
from aisha.lanes import connect as connect_redis
from aisha.objects import Objects
from aisha.settings import Settings
from aisha_embedded.services import Services, erase


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
async def settings(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> AsyncIterator[dict[str, str]]:
    """Settings that lead to the services by way of TLS, without the authority."""
    data_dir = tmp_path_factory.mktemp("data")
    async with Services.start(data_dir) as started:
        database = urlsplit(started.environment["AISHA_DATABASE_URL"])
        queue = urlsplit(started.environment["AISHA_REDIS_URL"])
        objects = urlsplit(started.environment["AISHA_S3_ENDPOINT"])
        async with (
            encrypted(database.port or 0, authority.server, postgres=True) as database_port,
            encrypted(queue.port or 0, authority.server) as queue_port,
            encrypted(objects.port or 0, authority.server) as objects_port,
        ):
            yield {
                "database_url": database._replace(netloc=_at(database.netloc, database_port)).geturl(),
                "redis_url": queue._replace(scheme="rediss", netloc=_at(queue.netloc, queue_port)).geturl(),
                "s3_endpoint": f"https://127.0.0.1:{objects_port}",
                "s3_access_key": started.environment["AISHA_S3_ACCESS_KEY"],
                "s3_secret_key": started.environment["AISHA_S3_SECRET_KEY"],
            }
    erase(data_dir)


def _at(netloc: str, port: int) -> str:
    return f"{netloc.rpartition(':')[0]}:{port}"


def reach_database(loaded: Settings) -> None:
    with connect(loaded.database_address) as connection:
        connection.execute("SELECT 1")


def reach_redis(loaded: Settings) -> None:
    connect_redis(loaded).ping()


def reach_objects(loaded: Settings) -> None:
    Objects(loaded).check()


REACH = [reach_database, reach_redis, reach_objects]
REFUSED = (psycopg.OperationalError, redis.ConnectionError, ServiceError)


@pytest.mark.parametrize("reach", REACH, ids=lambda reach: reach.__name__)
async def test_with_the_authority_there_is_trust(
    reach: Callable[[Settings], None], settings: dict[str, str], authority: Authority
) -> None:
    await asyncio.to_thread(reach, Settings(ca_file=authority.file, **settings))


@pytest.mark.parametrize("reach", REACH, ids=lambda reach: reach.__name__)
async def test_with_another_authority_there_is_none(
    reach: Callable[[Settings], None], settings: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(REFUSED, match=r"(?i)certificate"):
        await asyncio.to_thread(reach, Settings(ca_file=Authority(tmp_path).file, **settings))


async def test_a_database_with_another_name_is_refused(
    settings: dict[str, str], authority: Authority
) -> None:
    elsewhere = settings | {"database_url": settings["database_url"].replace("@127.0.0.1", "@localhost")}
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        await asyncio.to_thread(reach_database, Settings(ca_file=authority.file, **elsewhere))
