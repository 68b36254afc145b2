"""What the tests of every scenario share; `host` is testinfra's, one of the scenario's hosts after the other."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "shared"))
from hosts import wait_for_host

SECONDS = 30


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return a function that calls another until what it returns is true, for half a minute at most."""

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
