import os
import signal
import time
from pathlib import Path
from typing import Any

from aisha.work.horse import ReadyHorse


def writer(path: Path) -> Any:
    return lambda order: path.write_text(order["job"])


def test_a_ready_horse_does_what_it_is_told_and_ends(tmp_path: Path) -> None:
    horse = ReadyHorse(lambda: None, writer(tmp_path / "done"))
    assert horse.give(job="7")
    assert os.waitpid(horse.pid, 0)[1] == 0
    assert (tmp_path / "done").read_text() == "7"


def test_a_horse_is_prepared_before_it_has_a_job(tmp_path: Path) -> None:
    horse = ReadyHorse(lambda: (tmp_path / "prepared").touch(), writer(tmp_path / "done"))
    until = time.monotonic() + 10
    while not (tmp_path / "prepared").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (tmp_path / "prepared").exists()
    assert not (tmp_path / "done").exists()
    assert horse.give(job="7")
    os.waitpid(horse.pid, 0)


def test_a_horse_that_was_killed_takes_no_job(tmp_path: Path) -> None:
    horse = ReadyHorse(lambda: None, writer(tmp_path / "done"))
    os.kill(horse.pid, signal.SIGKILL)
    os.waitid(os.P_PID, horse.pid, os.WEXITED | os.WNOWAIT)
    assert not horse.give(job="7")
    assert not (tmp_path / "done").exists()


def test_a_horse_ends_with_its_worker(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    worker = os.fork()
    if not worker:
        try:
            horse = ReadyHorse(lambda: None, writer(tmp_path / "done"))
            os.write(write_end, str(horse.pid).encode())
            signal.pause()
        finally:
            os._exit(1)
    pid = int(os.read(read_end, 20))
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    until = time.monotonic() + 10
    while is_running(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_running(pid)
    assert not (tmp_path / "done").exists()


def is_running(pid: int) -> bool:
    """Tell whether a process lives; an unreaped zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
