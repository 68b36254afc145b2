"""Ports, passwords, the lock and the logs of the embedded services."""

import multiprocessing
import os
import re
import socket
import stat
from pathlib import Path

import pytest

from aisha.errors import ServiceError
from aisha.logs import BOT_TOKEN
from aisha_embedded import lock, output, ports
from aisha_embedded.credentials import Credentials, bot_token
from aisha_embedded.s3 import LEAN, remove_dead_sockets


def test_free_ports_differ_and_can_be_listened_on() -> None:
    found = ports.free(10)
    assert len(set(found)) == 10
    assert all(map(ports.is_free, found))


def test_free_ports_are_none_that_the_kernel_gives_to_clients() -> None:
    lowest = int(ports.EPHEMERAL.read_text().split()[0]) if ports.EPHEMERAL.exists() else 32_768
    assert all(port < lowest for port in ports.free(10))


def test_a_taken_port_leads_to_the_next_free_one() -> None:
    (port,) = ports.free(1)
    with socket.create_server((ports.HOST, port)):
        assert not ports.is_free(port)
        assert port < ports.next_free(port) < port + 100
    assert ports.next_free(port) == port
    assert ports.next_free(port, but=frozenset({port})) > port


def test_a_password_is_made_once(tmp_path: Path) -> None:
    first = Credentials(tmp_path / "secrets").get("redis_password")
    assert Credentials(tmp_path / "secrets").get("redis_password") == first
    assert len(first) >= 32


def test_a_loose_folder_of_secrets_is_closed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir(mode=0o755)
    Credentials(tmp_path / "secrets").get("redis_password")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "secrets" / "redis_password").stat().st_mode) == 0o600


def test_the_sandbox_token_looks_like_telegrams_and_is_redacted_in_logs() -> None:
    token = bot_token()
    assert re.fullmatch(r"\d{10}:[A-Za-z0-9_-]{35}", token)
    assert BOT_TOKEN.fullmatch(token)


def _hold(folder: Path, held: "multiprocessing.synchronize.Event") -> None:
    with lock.exclusive(folder):
        held.set()
        multiprocessing.Event().wait()


def test_a_killed_holder_frees_the_lock_and_a_living_one_is_named(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    holder = spawn.Process(target=_hold, args=(tmp_path, held))
    holder.start()
    assert held.wait(30)
    with pytest.raises(ServiceError, match=f"process {holder.pid}:"), lock.exclusive(tmp_path):
        pass
    holder.kill()
    holder.join()
    with lock.exclusive(tmp_path):
        pass


def test_a_full_log_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "s3.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * (output.LIMIT + 1))
        output.bound(log)
        writer.write(b"next\n")
    assert log.read_text() == "next\n"
    assert (tmp_path / "s3.log.1").stat().st_size == output.LIMIT + 1


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("1\n2\n3\n")
    assert output.tail(tmp_path / "log", 2) == "2\n3"
    assert output.tail(tmp_path / "none") == ""


def test_sockets_that_killed_servers_have_left_are_removed_and_no_others(tmp_path: Path) -> None:
    made = {name: socket.socket(socket.AF_UNIX) for name in ("dead", "alive", "new")}
    for name, one in made.items():
        one.bind(str(tmp_path / f"seaweedfs-{name}-1.sock"))
        one.listen()
    for name in ("dead", "new"):
        made[name].close()
    (tmp_path / "seaweedfs-no-socket.txt").touch()
    for path in tmp_path.iterdir():
        if "new" not in path.name:
            os.utime(path, (0, 0))
    remove_dead_sockets(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    made["alive"].close()
    assert left == {"seaweedfs-alive-1.sock", "seaweedfs-new-1.sock", "seaweedfs-no-socket.txt"}


def test_the_embedded_s3_server_has_no_limit_of_memory_that_it_would_collect_below_for_ever() -> None:
    """It holds more than such limits allow, and then takes a fifth of a core while idle."""
    assert "GOMEMLIMIT" not in LEAN
