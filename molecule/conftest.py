"""What the tests of every scenario share; `host` is testinfra's, one of the scenario's hosts.

Each host's tests run in order in a process of their own, in parallel with those of the other host. Tests that affect other hosts
run alone: those that restart their host, those without a `host`, and those marked `alone`.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "shared"))
from hosts import wait_for_host

SECONDS = 30
HOST = re.compile(r"\[\w+://(\w+-\w+)")
"""A host's name in the id of a test, as platforms are named: the scenario, a hyphen, and what it is."""


def is_alone(item: pytest.Item) -> bool:
    """Tell whether a test must run alone."""
    fixtures = getattr(item, "fixturenames", ())
    return "reboot" in fixtures or "host" not in fixtures or item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "alone: no test of another host may run beside it")


class ByHost(LoadScopeScheduling):
    """Assigns all tests of a host to one process."""

    def _split_scope(self, nodeid: str) -> str:
        found = HOST.search(nodeid)
        return found[1] if found else "no host"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHost:
    """Use that scheduler."""
    return ByHost(config, log)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Any:
    """Serialise tests that would disturb each other; a test's timeout starts after the wait."""
    path = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "tests.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        yield


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that calls another until it returns something true, for half a minute at most."""

    def wait(ask: Callable[[], Any]) -> Any:
        until = time.monotonic() + SECONDS
        while not (answer := ask()) and time.monotonic() < until:
            time.sleep(0.2)
        return answer

    return wait


@pytest.fixture
def reboot(host: Any) -> Callable[[], None]:
    """Return a function that restarts the host and waits until systemd has started everything."""

    def restart() -> None:
        subprocess.run(("docker", "restart", host.backend.host), check=True, capture_output=True)
        wait_for_host(host.backend.host)

    return restart


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show the end of the host's journal beside a failure."""
    report = (yield).get_result()
    host = getattr(item, "funcargs", {}).get("host")
    if report.failed and host is not None:
        report.sections.append(
            ("journal", host.run("journalctl --no-pager --lines=60 --output=short").stdout)
        )
