"""`aisha run`: the whole bot as one process tree on this machine."""

import asyncio
import signal
import sys
import time
from contextlib import suppress

import click
import structlog

from aisha.errors import ServiceError
from aisha.settings import Settings
from aisha_embedded import lock, ports
from aisha_embedded.credentials import Credentials, bot_token
from aisha_embedded.plan import AppPorts, Command, Plan, ahead, aisha, wanted_services
from aisha_embedded.process import Process, Spec
from aisha_embedded.services import Services
from aisha_embedded.supervisor import Supervisor, together

log = structlog.stdlib.get_logger(__name__)

SAME_SIGNAL = 0.5  # seconds: wrappers such as timeout(1) forward what the terminal has sent already
SECRETS_KEPT_OUT = {"AISHA_BOT_TOKEN", "AISHA_SANDBOX_TOKEN"}
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Run:
    """One run of everything.

    1. In parallel: start the services, pull the model, start the sandbox, let migration, bot and workers import their
       modules; migrate as soon as PostgreSQL answers.
    2. Give bot and workers their environment; print `ready ADDRESS` when they answer.
    3. Wait for Ctrl-C, SIGTERM or SIGHUP, restarting what dies.
    4. Stop everything in reverse order; a second signal makes it SIGKILL.
    """

    def __init__(self, settings: Settings, command: Command = aisha, ahead: Command = ahead) -> None:
        self._settings = settings
        self._commands = (command, ahead)
        self._want = wanted_services(settings)
        self._began = time.monotonic()
        self._stopped_at: float | None = None

    async def __call__(self) -> None:
        """Run until told to stop.

        Raises:
            AishaError: something does not start; everything else is stopped again.
        """
        with lock.exclusive(self._settings.data_dir):
            supervisor = Supervisor(self._settings.data_dir / "pids")
            self._obey_signals(supervisor)
            try:
                async with supervisor:
                    await self._until_stopped(supervisor)
            except asyncio.CancelledError:
                if self._stopped_at is None:
                    raise
        _say("stopped")

    async def _until_stopped(self, supervisor: Supervisor) -> None:
        try:
            plan = self._plan()
            await self._start(supervisor, plan)
            click.echo(f"ready {plan.address}")
            sys.stdout.flush()
            _say(f"ready in {time.monotonic() - self._began:.1f} s; Ctrl-C stops", fg="green")
            await asyncio.Event().wait()
        finally:
            _say("stopping (Ctrl-C again: at once)")

    async def _start(self, supervisor: Supervisor, plan: Plan) -> None:
        services = Services(self._settings.data_dir, supervisor, self._want, self._settings.s3_bucket)
        self._announce()
        later: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        await together(
            self._prepare(services, plan, later),
            *(supervisor.start(spec) for spec in plan.app(later)),
        )

    async def _prepare(self, services: Services, plan: Plan, later: asyncio.Future[dict[str, str]]) -> None:
        """Start all that bot and workers need, then give them their environment."""
        database: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        await together(
            _once(plan.migrate(database)),
            _once(plan.pull_model),
            self._start_database(services, plan, database),
            *(services.begin(name) for name in sorted(self._want - {"postgres"})),
        )
        _say(
            "starting the app: "
            + ("bot and workers" if plan.sandbox_token is None else "sandbox, bot and workers")
        )
        environment = plan.environment(services.environment)
        self._keep(environment)
        later.set_result(environment)

    async def _start_database(
        self, services: Services, plan: Plan, database: asyncio.Future[dict[str, str]]
    ) -> None:
        if "postgres" in self._want:
            await services.begin("postgres")
        database.set_result(plan.environment(services.environment))

    def _keep(self, environment: dict[str, str]) -> None:
        """Leave the app's settings where `aisha status` and `aisha trace` find them."""
        lines = [
            f"{name}={value}"
            for name, value in environment.items()
            if name.startswith("AISHA_") and name not in SECRETS_KEPT_OUT
        ]
        Credentials(self._settings.data_dir / "secrets").write("environment", "\n".join(lines))

    def _announce(self) -> None:
        if "postgres" in self._want and not (self._settings.data_dir / "postgres").exists():
            _say(f"first run: creating the database in {self._settings.data_dir}")
        if self._want:
            _say(f"starting services: {', '.join(sorted(self._want))}")

    def _plan(self) -> Plan:
        """Choose the app's ports, the next free ones where the settings' are taken."""
        token = None
        if not self._settings.bot_token:
            token = Credentials(self._settings.data_dir / "secrets").get("sandbox_token", bot_token)
        web = _choose("web_port", self._settings.web_port, set())
        health = _choose("health_port", self._settings.health_port, {web})
        metrics = _choose("worker_metrics_port", self._settings.worker_metrics_port, {web, health})
        return Plan(self._settings, AppPorts(web, health, metrics), token, *self._commands)

    def _obey_signals(self, supervisor: Supervisor) -> None:
        task = asyncio.current_task()

        def stop() -> None:
            if self._stopped_at is None and task:
                self._stopped_at = time.monotonic()
                task.cancel()
            elif self._stopped_at and time.monotonic() - self._stopped_at > SAME_SIGNAL:
                supervisor.hurry()

        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stop)


def _choose(name: str, port: int, taken: set[int]) -> int:
    chosen = ports.next_free(port, but=frozenset(taken))
    if chosen != port:
        log.info("port chosen", setting=name, wanted=port, chosen=chosen)
    return chosen


async def _once(spec: Spec) -> None:
    """Run a command to its end; it says on stderr itself what goes wrong.

    Raises:
        ServiceError: it ends with a status other than 0.
    """
    process = await Process.start(spec)
    try:
        await process.let_go_or_end()
        status = await process.wait()
    finally:
        await process.kill()
    if status:
        raise ServiceError(f"`aisha {spec.name}` ended with status {status}")


def _say(text: str, **style: str) -> None:
    """Tell the person at the terminal what is being done."""
    with suppress(OSError):  # the terminal may be gone
        click.secho(f"aisha: {text}", err=True, **style)  # type: ignore[arg-type]
