"""`aisha run` as a person sees it, with a stub for the app."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.embedded.driven import Driven, all_gone

from aisha_embedded import ports

Start = Callable[..., Driven]

EXTERNAL = {
    "AISHA_DATABASE_URL": "postgresql://u:p@127.0.0.1:1/d",
    "AISHA_REDIS_URL": "redis://127.0.0.1:1/0",
    "AISHA_S3_ENDPOINT": "http://127.0.0.1:1",
    "AISHA_S3_ACCESS_KEY": "k",
    "AISHA_S3_SECRET_KEY": "s",
}


@pytest.fixture(scope="module")
def shared(make_data_dir: Callable[[], Path]) -> Path:
    return make_data_dir()


@pytest.fixture
def run(drive: Start, shared: Path) -> Start:
    """Start `run` on free ports; without services of its own unless `AISHA_...=""` says so."""

    def start(**env: str) -> Driven:
        web, health, metrics = map(str, ports.free(3))
        own = {
            "AISHA_DATA_DIR": str(shared),
            "AISHA_WEB_PORT": web,
            "AISHA_HEALTH_PORT": health,
            "AISHA_WORKER_METRICS_PORT": metrics,
        }
        return drive("run", **(own | EXTERNAL | env))

    return start


def names(driven: Driven) -> list[str]:
    return sorted({process.name() for process in driven.descendants()})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_everything_starts_and_a_signal_leaves_nothing_behind(run: Start, number: signal.Signals) -> None:
    driven = run(**dict.fromkeys(EXTERNAL, ""))
    assert driven.line().startswith("ready http://127.0.0.1:")
    tree = driven.descendants()
    assert {"postgres", "valkey-server", "weed", "sleep"} <= set(names(driven))
    driven.signal(number)
    status, err, out = driven.end()
    assert (status, out) == (0, "")
    assert "migrate done" in err
    assert all_gone(tree, 0)


def test_a_ctrl_c_of_the_terminal_reaches_only_the_supervisor(run: Start) -> None:
    driven = run()
    driven.line()
    assert os.getpgid(driven.child.pid) not in {os.getpgid(p.pid) for p in driven.descendants()}


def test_a_service_that_a_setting_replaces_is_not_started(run: Start) -> None:
    driven = run(AISHA_DATABASE_URL="")
    driven.line()
    assert "postgres" in names(driven)
    assert not {"valkey-server", "weed"} & set(names(driven))


def test_a_real_token_starts_no_sandbox(run: Start) -> None:
    driven = run(AISHA_BOT_TOKEN="123456:abcdefghijklmnopqrstuvwxyz", AISHA_HEALTH_PORT=str(ports.free(1)[0]))
    assert driven.line().startswith("ready http://127.0.0.1:")
    assert not driven.running("sandbox")


@pytest.mark.parametrize("verb", ["models", "migrate", "bot"])
def test_what_fails_at_the_start_ends_the_run_with_its_message(run: Start, verb: str) -> None:
    status, err, out = run(STUB_FAILS=verb).end()
    assert (status, out) == (1, "")
    assert f"aisha: {verb} cannot" in err
    assert "ended with status 1" in err
    assert "Traceback" not in err


def test_a_dead_bot_is_started_again(run: Start) -> None:
    driven = run()
    driven.line()
    (bot,) = driven.running("bot")
    bot.kill()
    deadline = time.monotonic() + 10
    while not [p for p in driven.running("bot") if p.pid != bot.pid]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_run_on_the_same_data_is_refused(run: Start) -> None:
    first = run()
    first.line()
    status, err, _ = run().end()
    assert status == 1
    assert f"in use by another `aisha run`, process {first.child.pid}" in err
    assert "Traceback" not in err


def test_a_second_signal_does_not_wait_for_the_stubborn(run: Start) -> None:
    driven = run()
    driven.line()
    tree = driven.descendants()
    (worker,) = driven.running("worker")
    worker.suspend()  # a stopped process acts on no SIGTERM
    driven.signal(signal.SIGINT)
    time.sleep(0.7)
    driven.signal(signal.SIGINT)
    assert driven.end(5)[0] == 0
    assert all_gone(tree, 0)
