"""What the embedded services promise while they run."""

import stat
import urllib.error
import urllib.request

import psutil
import psycopg
import pytest
import redis
from minio.error import S3Error
from redis.backoff import NoBackoff
from redis.retry import Retry
from tests.integration.embedded import clients

from aisha_embedded import sessions
from aisha_embedded.services import Services


@pytest.fixture(scope="module")
def env(services: Services) -> clients.Environment:
    return services.environment


def processes(services: Services) -> list[psutil.Process]:
    return [psutil.Process(pid) for leader in services.pids.values() for pid in sessions.members(leader)]


def test_each_service_keeps_what_it_is_given(env: clients.Environment) -> None:
    clients.store(env, "first")
    assert clients.kept(env, "first") == {"postgres", "redis", "s3"}


def test_postgres_refuses_a_wrong_password(env: clients.Environment) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(env["AISHA_DATABASE_URL"], password="wrong")


def test_postgres_refuses_no_password(env: clients.Environment) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(env["AISHA_DATABASE_URL"], password="")


@pytest.mark.parametrize("password", ["wrong", None])
def test_redis_refuses_a_wrong_password_and_none(env: clients.Environment, password: str | None) -> None:
    port = int(env["AISHA_REDIS_URL"].rpartition(":")[2].removesuffix("/0"))
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0)).ping()


@pytest.mark.parametrize(
    ("access", "secret", "code"),
    [
        (None, None, "AccessDenied"),
        ("", "wrong", "SignatureDoesNotMatch"),
        ("wrong", "wrong", "InvalidAccessKeyId"),
    ],
)
def test_s3_refuses_strangers(
    env: clients.Environment, access: str | None, secret: str | None, code: str
) -> None:
    with pytest.raises(S3Error, match=code):
        clients.s3(env, access, secret).get_object(env["AISHA_S3_BUCKET"], "first")


def test_the_inner_servers_of_s3_hand_out_no_object(services: Services) -> None:
    connections = psutil.Process(services.pids["s3"]).net_connections("tcp")
    for port in {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}:
        with pytest.raises((urllib.error.HTTPError, OSError, ValueError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/buckets/aisha/first", timeout=2)


def test_the_database_is_safe_and_sorts_the_same_everywhere(env: clients.Environment) -> None:
    with psycopg.connect(env["AISHA_DATABASE_URL"]) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in (
                "data_checksums",
                "fsync",
                "full_page_writes",
                "password_encryption",
                "server_encoding",
            )
        }
        locale = connection.execute(
            "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'aisha'"
        ).fetchone()
        trust = connection.execute(
            "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"
        ).fetchone()
    assert shown == {
        "data_checksums": "on",
        "fsync": "on",
        "full_page_writes": "on",
        "password_encryption": "scram-sha-256",
        "server_encoding": "UTF8",
    }
    assert locale == ("b", "C.UTF-8")
    assert trust == (0,)


def test_redis_appends_to_a_file_and_evicts_nothing(env: clients.Environment) -> None:
    client = redis.Redis.from_url(env["AISHA_REDIS_URL"], decode_responses=True)
    settings = client.config_get("append*") | client.config_get("maxmemory-policy")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"


def test_every_port_is_on_the_loopback_address(services: Services) -> None:
    listening = [
        (process.name(), connection.laddr.ip)
        for process in processes(services)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 12
    assert {address for _, address in listening} == {"127.0.0.1"}


def test_no_secret_is_in_a_command_line_or_a_log(services: Services) -> None:
    secrets = [
        path.read_text().strip()
        for path in (services.data_dir / "secrets").iterdir()
        if path.name.endswith(("password", "key"))
    ]
    shown = [" ".join(process.cmdline()) for process in processes(services)]
    shown += [path.read_text() for path in (services.data_dir / "logs").iterdir()]
    assert len(secrets) == 5
    assert not [secret for secret in secrets if any(secret in text for text in shown)]


def test_only_the_owner_reads_the_secrets(services: Services) -> None:
    folder = services.data_dir / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["postgres", "redis", "s3"])
async def test_a_killed_service_comes_back_with_its_data_at_the_same_address(
    services: Services, env: clients.Environment, name: str
) -> None:
    before = dict(env)
    clients.store(env, f"before {name} died")
    await services.kill_and_restart(name)
    assert env == before
    assert clients.kept(env, f"before {name} died") == {"postgres", "redis", "s3"}
