"""What `aisha run` runs beside the services: pure functions of settings, ports and environment."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aisha.errors import SettingsError
from aisha.settings import CLOUD_FILE_LIMIT, Settings, variable
from aisha_embedded.ports import HOST
from aisha_embedded.process import Process, Spec, at_once

Command = Callable[..., list[str]]

DRAIN_SECONDS = 20.0
START_SECONDS = 120.0  # a large model takes half a minute to load
APP = 1  # the stage; services have 0


@dataclass(frozen=True)
class AppPorts:
    """The ports of the app's processes on this machine."""

    web: int
    health: int
    worker_metrics: int


def aisha(*arguments: str) -> list[str]:
    """Return the command line of one of Aisha's verbs."""
    return [sys.executable, "-m", "aisha", *arguments]


def ahead(*arguments: str) -> list[str]:
    """Return the command line of a verb that is started before its environment is known."""
    return [sys.executable, "-m", "aisha_embedded.ahead", *arguments]


def wanted_services(settings: Settings) -> set[str]:
    """Return the services that no setting replaces.

    Raises:
        SettingsError: only some of the settings that replace a service are set.
    """
    if settings.s3_endpoint:
        settings.required("s3_access_key", "s3_secret_key")
    for name, needs in (
        ("s3_access_key", "s3_endpoint"),
        ("s3_secret_key", "s3_endpoint"),
        ("bot_api_url", "bot_token"),
    ):
        if getattr(settings, name) and not getattr(settings, needs):
            raise SettingsError(f"{variable(name)} is set, but {variable(needs)} is not: set both or neither")
    replaced = {
        "postgres": settings.database_url,
        "redis": settings.redis_url,
        "s3": settings.s3_endpoint,
    }
    return {name for name, setting in replaced.items() if setting is None}


@dataclass(frozen=True)
class Plan:
    """The app's processes, given what is known before anything runs."""

    settings: Settings
    ports: AppPorts
    sandbox_token: str | None
    command: Command = aisha
    ahead: Command = ahead

    def environment(self, services: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of every process of the app."""
        own = {
            "AISHA_DATA_DIR": str(self.settings.data_dir),
            "AISHA_HEALTH_PORT": str(self.ports.health),
            "AISHA_WORKER_METRICS_PORT": str(self.ports.worker_metrics),
            "PYTHONUNBUFFERED": "1",
        }
        if self.sandbox_token:
            own["AISHA_SANDBOX_TOKEN"] = own["AISHA_BOT_TOKEN"] = self.sandbox_token
            own["AISHA_BOT_API_URL"] = f"http://{HOST}:{self.ports.web}"
            own["AISHA_MAX_FILE_SIZE"] = str(
                self.settings.max_file_size or CLOUD_FILE_LIMIT
            )  # as the sandbox's
        return {**os.environ, **own, **services}

    @property
    def address(self) -> str:
        """Where a person looks: the web chat, or with a real token the bot's health."""
        return f"http://{HOST}:{self.ports.web if self.sandbox_token else self.ports.health}"

    @property
    def pull_model(self) -> Spec:
        """Install the default language's model unless it is there."""
        argv = self.command("models", "pull", self.settings.default_language, "--quiet-if-installed")
        return Spec("models pull", argv, self.environment({}), ready=at_once)

    def migrate(self, later: Awaitable[Mapping[str, str]]) -> Spec:
        """Bring the database to the newest schema."""
        return Spec("migrate", self.ahead("migrate"), os.environ, ready=at_once, later=later)

    def app(self, later: Awaitable[Mapping[str, str]]) -> list[Spec]:
        """Return the long-running processes; bot and worker wait for their environment."""
        specs = [
            self._long("bot", self.ports.health, later),
            self._long("worker", self.ports.worker_metrics, later),
        ]
        return [self._sandbox(), *specs] if self.sandbox_token else specs

    def _sandbox(self) -> Spec:
        """Return the local Bot API server with its web chat, which needs no service."""

        async def ready(process: Process) -> None:
            await asyncio.shield(process.ready_line)

        argv = self.command("sandbox", "--port", str(self.ports.web), "--strict-port")
        return Spec("sandbox", argv, self.environment({}), ready, read_stdout=True, stage=APP)

    def _long(self, verb: str, port: int, later: Awaitable[Mapping[str, str]]) -> Spec:
        """Return the bot or this host's workers, healthy on a port."""
        return Spec(
            verb,
            self.ahead(verb),
            os.environ,
            self._healthy(port),
            later=later,
            start_seconds=START_SECONDS,
            stop_seconds=DRAIN_SECONDS,
            stage=APP,
        )

    def _healthy(self, port: int) -> Callable[[Process], Awaitable[None]]:
        host = HOST if self.settings.metrics_host in ("0.0.0.0", "::") else self.settings.metrics_host  # noqa: S104

        async def ready(_: Process) -> None:
            await get(host, port, "/health/ready")

        return ready


async def get(host: str, port: int, path: str) -> None:
    """Send an HTTP GET; any other answer than 200 raises `ConnectionError`."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        status = (await reader.readline()).split()
        if len(status) < 2 or status[1] != b"200":
            raise ConnectionError(f"not ready: {status}")
    finally:
        writer.close()
