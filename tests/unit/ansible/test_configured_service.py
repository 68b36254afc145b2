"""A unit runs with the configuration that its files have now, and is disturbed for nothing else."""

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

FILE = Path(__file__).parents[3] / "ansible/plugins/modules/configured_service.py"
SPEC = importlib.util.spec_from_file_location("configured_service", FILE)
configured_service = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(configured_service)


class Host:
    """A host with one unit: it answers commands as systemctl would, and notes those that change something."""

    def __init__(self) -> None:
        self.active, self.enabled, self.starts, self.accepts = False, False, True, True
        self.started, self.stale = 1, "no"
        self.reloading = 0
        """How many times it still says that it reloads."""
        self.done: list[str] = []

    def run(self, *command: str, check: bool = True) -> str:
        """Stand for the shared function of that name."""
        status, out, error = self.answer(command)
        if check and status:
            raise configured_service.CommandError(command, error)
        return out

    def answer(self, command: tuple[str, ...]) -> tuple[int, str, str]:
        """Return exit status, output and errors of a command."""
        match command:
            case ["systemctl", "is-active", _] if self.reloading:
                self.reloading -= 1
                return 3, "reloading", ""
            case ["systemctl", "is-active", _]:
                return 0, "active" if self.active else "inactive", ""
            case ["systemctl", "is-enabled", _]:
                return 0, "enabled" if self.enabled else "disabled", ""
            case ["systemctl", "show", *_]:
                return (
                    0,
                    f"ExecMainStartTimestampMonotonic={self.started}\nNeedDaemonReload={self.stale}\n",
                    "",
                )
            case ["systemctl", "daemon-reload"] | ["systemctl", "reset-failed", _]:
                return 0, "", ""
            case ["systemctl", verb, _]:
                self.done.append(verb)
                self.enabled = self.enabled or verb == "enable"
                self.active = self.starts if verb in ("start", "restart") else self.active
                return 0, "", ""
            case ["journalctl", *_]:
                return 0, "why it died", ""
        self.done.append(command[0])
        return (0, "", "") if self.accepts else (1, "", "line 3 is wrong")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """Give the module a host of its own."""
    fake = Host()
    monkeypatch.setattr("ansible.module_utils.applied.FOLDER", tmp_path / "applied")
    monkeypatch.setattr(configured_service, "run", fake.run)
    return fake


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the module, by default with a file for each kind of change, and return what it answers."""

    def once(*, check: bool = False, **arguments: Any) -> Any:
        files = {"restart_on": [str(tmp_path / "hard")], "reload_on": [str(tmp_path / "soft")]}
        told = {
            "_ansible_check_mode": check,
            "_ansible_remote_tmp": str(tmp_path),
            "name": "unit",
            "settle": 0,
        }
        with patch_module_args(told | files | arguments), pytest.raises(SystemExit):
            configured_service.main()
        return json.loads(capsys.readouterr().out)

    return once


@pytest.fixture
def running(host: Host, run: Callable[..., Any], tmp_path: Path) -> Host:
    """Return a host whose unit was given its files."""
    (tmp_path / "hard").write_text("1")
    (tmp_path / "soft").write_text("1")
    run()
    host.done.clear()
    return host


def test_a_unit_that_is_down_is_enabled_and_started(host: Host, run: Callable[..., Any]) -> None:
    assert run()["action"] == "start"
    assert host.done == ["enable", "start"]


def test_a_unit_that_has_its_files_is_left_alone(running: Host, run: Callable[..., Any]) -> None:
    assert run()["changed"] is False
    assert running.done == []


@pytest.mark.parametrize(("file", "action"), [("hard", "restart"), ("soft", "reload")])
def test_a_changed_file_does_what_it_needs(
    running: Host, run: Callable[..., Any], tmp_path: Path, file: str, action: str
) -> None:
    (tmp_path / file).write_text("2")
    answer = run()
    assert answer["action"] == action
    assert str(tmp_path / file) in answer["diff"]["after"]
    assert running.done == [action]
    assert run()["changed"] is False


def later() -> int:
    """Return microseconds of systemd's clock in a while."""
    return int((time.monotonic() + 10) * 1e6)


@pytest.mark.parametrize("file", ["hard", "soft"])
def test_a_unit_that_was_started_since_its_files_changed_has_them(
    running: Host, run: Callable[..., Any], tmp_path: Path, file: str
) -> None:
    (tmp_path / file).write_text("2")
    running.started = later()
    assert run()["changed"] is False
    running.started = 1
    assert run()["changed"] is False
    assert running.done == []


def test_a_unit_whose_own_file_systemd_has_not_read_is_restarted(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hard").write_text("2")
    running.started, running.stale = later(), "yes"
    assert run()["action"] == "restart"


def test_a_start_since_says_nothing_of_a_value_or_of_a_file_that_is_gone(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    running.started = later()
    assert run(restart_on_values={"icc": False})["action"] == "restart"
    (tmp_path / "hard").unlink()
    assert run(restart_on_values={"icc": False})["action"] == "restart"


def test_a_restart_does_what_a_reload_would_too(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hard").write_text("2")
    (tmp_path / "soft").write_text("2")
    run()
    assert running.done == ["restart"]


def test_a_changed_value_needs_a_restart(running: Host, run: Callable[..., Any]) -> None:
    assert run(restart_on_values={"icc": False})["action"] == "restart"
    assert run(restart_on_values={"icc": False})["action"] == "none"
    assert run(restart_on_values={"icc": True})["action"] == "restart"


def test_a_change_that_an_interrupted_run_left_behind_is_made_good(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hard").write_text("2")
    run(check=True)
    assert running.done == []
    assert run()["action"] == "restart"


def test_a_refused_configuration_leaves_the_unit_as_it_was(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hard").write_text("2")
    running.accepts = False
    answer = run(validate=["check"])
    assert answer["failed"]
    assert "line 3 is wrong" in answer["msg"]
    assert running.done == ["check"]
    running.accepts = True
    assert run(validate=["check"])["action"] == "restart"


def test_nothing_is_validated_when_nothing_changed(running: Host, run: Callable[..., Any]) -> None:
    run(validate=["check"])
    assert running.done == []


def test_a_unit_that_does_not_stay_up_fails_with_its_journal_and_is_tried_again(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hard").write_text("2")
    running.starts = False
    answer = run()
    assert answer["failed"]
    assert "why it died" in answer["msg"]
    running.starts = True
    assert run()["action"] == "start"


def test_a_digest_tells_bytes_and_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("1")
    file.chmod(0o600)
    first = configured_service.digests([str(file)])
    file.chmod(0o640)
    second = configured_service.digests([str(file)])
    file.write_text("2")
    assert len({json.dumps(each) for each in (first, second, configured_service.digests([str(file)]))}) == 3


def test_a_folder_is_all_the_files_below_it(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "one").write_text("1")
    assert list(configured_service.digests([str(tmp_path)])) == [str(tmp_path / "conf.d" / "one")]


def test_a_missing_file_has_no_digest(tmp_path: Path) -> None:
    assert configured_service.digests([str(tmp_path / "none")]) == {}


def test_a_broken_record_is_as_none(running: Host, run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "applied" / "unit.json").write_text("{")
    assert run()["action"] == "restart"
    assert run()["action"] == "none"


def test_a_unit_that_only_reloads_is_not_restarted_for_a_lost_record(
    running: Host, run: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "applied" / "unit.json").unlink()
    assert run(restart_on=[])["action"] == "reload"


def test_a_unit_that_still_reloads_is_waited_for(host: Host, run: Callable[..., Any], tmp_path: Path) -> None:
    run()
    (tmp_path / "soft").write_text("new")
    host.reloading = 2
    assert run()["action"] == "reload"
    assert host.done[-1] == "reload"
    assert run()["action"] == "none"
