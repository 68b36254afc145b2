"""A host that a role cannot be applied to is rejected, with the variable and the fix."""

import importlib.util
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

FILE = Path(__file__).parents[3] / "ansible/plugins/modules/preflight.py"
SPEC = importlib.util.spec_from_file_location("preflight", FILE)
preflight = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(preflight)

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n'
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:18EB 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 222 1
"""
TCP6 = """  sl  local_address                         remote_address                        st ...
   0: 00000000000000000000000000000000:18EB 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 333 1
"""
PORT = {"port": 6379, "variable": "redis_port", "process": ["redis-server"]}


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Run the module on a supported release and return what it answers."""
    monkeypatch.setattr(preflight, "release_problem", lambda _supported, _text: None)

    def once(**arguments: Any) -> Any:
        with patch_module_args(arguments | {"_ansible_remote_tmp": str(tmp_path)}), pytest.raises(SystemExit):
            preflight.main()
        return json.loads(capsys.readouterr().out)

    return once


def test_a_supported_release_is_no_problem() -> None:
    assert preflight.release_problem(["bookworm", "trixie"], BOOKWORM) is None


def test_another_release_is_named_beside_those_that_are_supported() -> None:
    assert preflight.release_problem(["trixie"], BOOKWORM) == (
        "bookworm is not supported, these Debian releases are: trixie"
    )


def test_a_system_without_a_code_name_is_told_by_what_it_calls_itself() -> None:
    assert preflight.release_problem(["trixie"], 'PRETTY_NAME="Alpine"\n').startswith(
        '"Alpine" is not supported'
    )
    assert preflight.release_problem(["trixie"], "").startswith("an unknown system is not supported")


def test_sockets_that_listen_are_found_in_both_families_and_others_are_not() -> None:
    assert preflight.listening([TCP, TCP6]) == {6379: {"111", "333"}}


def test_the_process_that_holds_a_socket_is_found_by_its_name() -> None:
    with socket.socket() as held:
        inode = str(os.fstat(held.fileno()).st_ino)
        assert preflight.owners({inode}) == {Path("/proc/self/comm").read_text().strip()}


def test_a_free_port_is_no_problem() -> None:
    assert preflight.port_problem(PORT, {}, [PORT]) is None


def test_a_port_that_the_service_has_already_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "owners", lambda _inodes: {"redis-server"})
    assert preflight.port_problem(PORT, {6379: {"1"}}, [PORT]) is None


def test_a_stranger_on_the_port_is_named_with_the_variable_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "owners", lambda _inodes: {"redis-server", "nginx"})
    assert preflight.port_problem(PORT, {6379: {"1"}}, [PORT]) == (
        "redis_port: port 6379 is taken by nginx; stop it, or set redis_port to another port"
    )


def test_two_variables_may_not_have_the_same_port() -> None:
    other = PORT | {"variable": "redis_tls_port"}
    assert preflight.port_problem(PORT, {}, [PORT, other]) == (
        "redis_port and redis_tls_port are both 6379: give each a port of its own"
    )


def test_enough_free_space_is_no_problem(tmp_path: Path) -> None:
    assert (
        preflight.space_problem({"path": str(tmp_path), "mib": 0, "variable": "redis_min_free_mib"}) is None
    )


def test_the_space_of_a_folder_that_is_still_missing_is_that_of_its_parent(tmp_path: Path) -> None:
    path = str(tmp_path / "not" / "yet")
    problem = preflight.space_problem({"path": path, "mib": 2**40, "variable": "redis_min_free_mib"})
    assert problem.startswith(f"{path} has ")
    assert problem.endswith(f"and needs {2**40}: free some, or change redis_min_free_mib")


def test_every_problem_is_told_at_once_and_each_only_once(run: Callable[..., Any], tmp_path: Path) -> None:
    answer = run(
        require=[
            {"that": False, "problem": "one is wrong"},
            {"that": False, "problem": "one is wrong"},
            {"that": True, "problem": "two is wrong"},
        ],
        space=[{"path": str(tmp_path), "mib": 2**40, "variable": "min_free_mib"}],
    )
    assert answer["failed"]
    assert answer["msg"].count("one is wrong") == 1
    assert "two is wrong" not in answer["msg"]
    assert "min_free_mib" in answer["msg"]


def test_a_host_in_order_is_not_changed(run: Callable[..., Any]) -> None:
    assert run(require=[{"that": True, "problem": "no"}])["changed"] is False


def test_it_tells_which_packages_are_missing() -> None:
    assert preflight.missing(["dpkg", "no-such-package", "bash"]) == ["no-such-package"]
    assert preflight.missing([]) == []


def test_a_journal_of_dpkg_is_an_interrupted_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "DPKG_JOURNAL", tmp_path)
    assert not preflight.is_interrupted()
    (tmp_path / "0001").touch()
    assert preflight.is_interrupted()
