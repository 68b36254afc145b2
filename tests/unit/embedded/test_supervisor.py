"""How processes are kept running, with small scripts in place of servers."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from aisha.errors import ServiceError
from aisha_embedded import sessions
from aisha_embedded.process import Process, Spec, at_once
from aisha_embedded.sessions import PidFile
from aisha_embedded.supervisor import Supervisor

PYTHON = [sys.executable, "-S", "-c"]


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(tmp_path / "pids") as made:
        yield made


@pytest.fixture
def sleeper(tmp_path: Path) -> Spec:
    return Spec("sleeper", ["sleep", "60"], {}, at_once, log=tmp_path / "log")


async def test_one_that_ends_too_early_is_reported_with_the_end_of_its_log(
    supervisor: Supervisor, sleeper: Spec
) -> None:
    async def never(_: Process) -> None:
        raise ConnectionError

    spec = replace(sleeper, argv=[*PYTHON, "print('why'); raise SystemExit(3)"], ready=never)
    with pytest.raises(ServiceError, match=r"(?s)sleeper ended with status 3 before it was ready; .*why"):
        await supervisor.start(spec)


async def test_one_that_does_not_get_ready_in_time_is_killed(supervisor: Supervisor, sleeper: Spec) -> None:
    async def never(_: Process) -> None:
        raise ConnectionError

    with pytest.raises(ServiceError, match=r"not ready within 0\.2 s"):
        await supervisor.start(replace(sleeper, ready=never, start_seconds=0.2))
    assert supervisor.pids == {}


async def test_one_that_dies_is_restarted(supervisor: Supervisor, sleeper: Spec) -> None:
    await supervisor.start(sleeper)
    first = supervisor.pids["sleeper"]
    sessions.send(first, signal.SIGKILL)
    await asyncio.wait_for(supervisor["sleeper"].started(2), 10)
    assert supervisor.pids["sleeper"] != first


async def test_a_failing_restart_is_tried_again(supervisor: Supervisor, sleeper: Spec) -> None:
    tries = 0

    async def prepare() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            raise OSError("not yet")

    await supervisor.start(replace(sleeper, prepare=prepare))
    sessions.send(supervisor.pids["sleeper"], signal.SIGKILL)
    await asyncio.wait_for(supervisor["sleeper"].started(2), 10)
    assert tries == 3


async def test_all_stop_in_reverse_order(tmp_path: Path, sleeper: Spec) -> None:
    stopped = []
    async with Supervisor(tmp_path / "pids") as supervisor:
        for name in ("one", "two", "three"):

            async def clean(name: str = name) -> None:
                stopped.append(name)

            await supervisor.start(replace(sleeper, name=name, clean=clean))
    assert stopped == ["three", "two", "one"]
    assert not list((tmp_path / "pids").iterdir())


async def test_one_that_ignores_its_stop_signal_is_killed(tmp_path: Path, sleeper: Spec) -> None:
    script = "import signal,time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"

    async def ready(_: Process) -> None:
        assert sleeper.log
        assert sleeper.log.read_text()

    spec = replace(sleeper, argv=[*PYTHON, script], ready=ready, stop_seconds=0.1)
    async with Supervisor(tmp_path / "pids") as supervisor:
        await supervisor.start(spec)
        pid = supervisor.pids["sleeper"]
    assert not psutil.pid_exists(pid)


async def test_stopping_takes_children_in_groups_of_their_own_along(tmp_path: Path, sleeper: Spec) -> None:
    script = "import subprocess as s,time; s.Popen(['sleep','60'],process_group=0); time.sleep(60)"
    async with Supervisor(tmp_path / "pids") as supervisor:
        await supervisor.start(replace(sleeper, argv=[*PYTHON, script]))
        leader = supervisor.pids["sleeper"]
        async with asyncio.timeout(10):
            while len(sessions.members(leader)) < 2:
                await asyncio.sleep(0.02)
    assert sessions.members(leader) == []


async def test_what_a_killed_supervisor_left_is_ended_before_the_next_start(
    tmp_path: Path, supervisor: Supervisor, sleeper: Spec
) -> None:
    left = subprocess.Popen(["sleep", "60"], start_new_session=True)
    PidFile(tmp_path / "pids" / "sleeper.json").write(left.pid)
    await supervisor.start(sleeper)
    assert left.wait(1) == -signal.SIGTERM


async def test_a_stranger_with_a_recorded_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    file = PidFile(tmp_path / "sleeper.json")
    file.path.write_text(f'{{"pid": {stranger.pid}, "started": 1.0}}')
    try:
        assert not await file.end_leftover(signal.SIGTERM, 1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_damaged_pid_file_is_ignored(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "sleeper.json")
    file.path.write_text("{")
    assert not await file.end_leftover(signal.SIGTERM, 1)
