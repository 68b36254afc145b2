"""The rehearsal (`make rehearsal`) as its operator sees it: its playbooks, its hosts, and the way to its webhook."""

import contextlib
import csv
import json
import math
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from tests.bench.roll.client import Target
from tests.bench.roll.committed import Row

sys.path.insert(0, str(Path(__file__).parents[3] / "molecule" / "shared"))
from hosts import address_of, docker, image, wait_for_host
from rehearsal import begin

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
INVENTORY = ROOT / "inventories" / "rehearsal"
SANDBOX = "http://127.0.0.1:8080"
SERVICES = "services"
"""The host of the proxy and of the database."""

APP = ("app-1", "app-2")
"""The hosts of the bots."""

DEBIAN = image("trixie")
"""Which this machine's Docker has."""

RELEASES = "/var/lib/aisha/releases/bot"
AUTHORITY = "/etc/aisha/tls/proxy/ca.pem"
IMAGE_SOURCES = ("app/aisha", "pyproject.toml", "LICENSE", "requirements")
READY = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8081/health/ready', timeout=5)"
PATIENCE_SECONDS = 120


class RehearsalError(Exception):
    """The rehearsal did not do what the benchmark needs of it; says what."""


@dataclass(frozen=True)
class Shown:
    """The certificate that the proxy shows."""

    serial: str
    ends: float

    @property
    def days_left(self) -> int:
        """Whole days until it ends, a begun one too."""
        return math.ceil((self.ends - time.time()) / 86400)


class Rehearsal:
    """A production on this machine that is up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def target(self) -> Target:
        """Return where its updates go."""
        secrets, plain = self._variables("vault.yml"), self._variables("environment.yml")
        ca = self._folder / "ca.pem"
        ca.write_text(inside(SERVICES, "cat", AUTHORITY))
        url = f"https://{plain['aisha_domain']}/webhook"
        return Target(url, address_of(SERVICES), 443, str(ca), secrets["vault_bot_webhook_secret"])

    def _variables(self, name: str) -> dict[str, str]:
        """Return the variables of one of the inventory's files for all hosts, encrypted or not."""
        path = INVENTORY / "group_vars" / "all" / name
        if not path.read_text().startswith("$ANSIBLE_VAULT"):
            return dict(yaml.safe_load(path.read_text()))
        password = ROOT / "ansible" / "vault-password"
        command = (BIN / "ansible-vault", "view", "--vault-password-file", password, path)
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return dict(yaml.safe_load(shown))

    def image(self, name: str, change: Callable[[Path], None]) -> Path:
        """Return a repository with the sources of this one's image, as they are now, and with a change."""
        repository = self._folder / name
        listed = subprocess.run(
            ("git", "ls-files", "-z", "--", *IMAGE_SOURCES),
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for file in filter(None, listed.stdout.split("\0")):
            (repository / file).parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # removed, and not committed yet
                shutil.copy(ROOT / file, repository / file)
        change(repository)
        for command in (("init", "--quiet"), ("add", ".")):
            subprocess.run(("git", *command), cwd=repository, check=True)
        return repository

    def certificate(self, target: Target) -> Shown:
        """Return the certificate that the proxy shows now."""
        context = ssl.create_default_context(cafile=target.ca)
        with (
            socket.create_connection((target.host, target.port), 20) as plain,
            context.wrap_socket(plain, server_hostname=target.name) as connection,
        ):
            shown = connection.getpeercert()
        assert shown
        return Shown(str(shown["serialNumber"]), ssl.cert_time_to_seconds(str(shown["notAfter"])))

    def rows(self, query: str) -> list[Row]:
        """Ask the database, over its own socket."""
        psql = ("psql", "--csv", "--tuples-only", f"--command={query}", "aisha")
        said = inside(SERVICES, "runuser", "--user=postgres", "--", *psql)
        return [
            (int(first), int(second), int(third)) for first, second, third in csv.reader(said.splitlines())
        ]

    def restart(self, host: str) -> None:
        """Restart a host, and return when each of its bots is ready again."""
        bots = bots_of(host)
        if not bots:
            raise RehearsalError(f"no bot runs on {host}")
        docker("restart", host)
        wait_for_host(host)
        for bot in bots:
            eventually(partial(self._is_ready, host, bot), f"{bot} on {host} to be ready again")

    def _is_ready(self, host: str, container: str) -> bool:
        command = ("docker", "exec", host, "docker", "exec", container, "python3", "-c", READY)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def play(playbook: str, *arguments: str, fails: bool = False) -> str:
    """Run a playbook as the operator does, and return what it said.

    Raises:
        RehearsalError: it failed, or did not although it was to.
    """
    running = begin(playbook, *arguments)
    said, _ = running.communicate()
    if (running.returncode != 0) is not fails:
        raise RehearsalError(f"{playbook} ended with {running.returncode}:\n{said[-6000:]}")
    return str(said)


def extra(**variables: object) -> str:
    """Return the argument that gives a playbook variables."""
    return f"--extra-vars={json.dumps(variables)}"


def inside(host: str, *command: str) -> str:
    """Run a command on a host and return what it printed."""
    return str(docker("exec", host, *command))


def roll(host: str, release: str) -> dict[str, Any]:
    """Bring a host's bots to a release that it has, and nothing else; return what the module answers."""
    arguments = {"service": "bot", "state": "running", "release": release}
    command = ("-i", str(INVENTORY), host, "--become", "-m", "app_service", "-a", json.dumps(arguments))
    done = subprocess.run(
        (BIN / "ansible", *command),
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.partition("=>")[2]))


def running(host: str) -> str:
    """Return the release of the bot that a host runs."""
    return inside(host, "readlink", f"{RELEASES}/current")


def bots_of(host: str) -> list[str]:
    """Return the containers of the bots that run on a host."""
    form = ("--filter=label=aisha.service=bot", "--format={{.Names}}")
    return inside(host, "docker", "ps", *form).split()


def manifest(host: str) -> dict[str, Any]:
    """Return the manifest of the release of the bot that a host runs."""
    return dict(json.loads(inside(host, "cat", f"{RELEASES}/current/manifest.json")))


def put(host: str, path: str, text: str) -> None:
    """Write a file on a host."""
    command = ("docker", "exec", "--interactive", host, "tee", path)
    subprocess.run(command, input=text, check=True, capture_output=True, text=True)


def load(host: str, image: str) -> None:
    """Give a host's Docker an image of this machine's."""
    with subprocess.Popen(("docker", "save", image), stdout=subprocess.PIPE) as saving:
        command = ("docker", "exec", "--interactive", host, "docker", "load", "--quiet")
        subprocess.run(command, stdin=saving.stdout, check=True, capture_output=True)


def eventually(happened: Callable[[], object], what: str) -> None:
    """Wait until something is so.

    Raises:
        RehearsalError: it took too long.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > until:
            raise RehearsalError(f"waited {PATIENCE_SECONDS} s for {what}")
        time.sleep(0.5)
