"""The ledger of releases: one at a time may release, and all releases are recorded."""

import importlib.util
import json
import time
from pathlib import Path

import pytest

FILE = Path(__file__).parents[3] / "ansible/plugins/modules/release_ledger.py"
SPEC = importlib.util.spec_from_file_location("release_ledger", FILE)
ledger = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ledger)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "fleet")
    monkeypatch.setattr(ledger, "AUDIT", tmp_path / "log" / "audit.jsonl")
    monkeypatch.setattr(ledger, "POLL_SECONDS", 0.01)
    return tmp_path


def test_a_lock_is_held_by_one() -> None:
    assert ledger.take("me", 60, 0) == ""
    with pytest.raises(TimeoutError, match="me is releasing"):
        ledger.take("you", 60, 0)
    ledger.unlock("you")
    with pytest.raises(TimeoutError):
        ledger.take("you", 60, 0)
    ledger.unlock("me")
    assert ledger.take("you", 60, 0) == ""


def test_a_killed_run_keeps_the_lock_for_its_time_only() -> None:
    ledger.take("killed", 0, 0)
    assert ledger.take("next", 60, 0) == "killed"


def test_who_waits_gets_the_lock_when_it_ends() -> None:
    ledger.take("killed", 1, 0)
    assert ledger.take("next", 60, 30) == "killed"


def test_a_run_that_has_lost_the_lock_goes_no_further() -> None:
    ledger.take("slow", 0, 0)
    ledger.take("next", 60, 0)
    with pytest.raises(TimeoutError, match="next holds it"):
        ledger.renew("slow", 60)
    ledger.renew("next", 120)
    assert ledger.lock_now()["ends"] > time.time() + 100


def test_releases_are_kept_newest_first_and_only_so_many() -> None:
    for number in range(1, 8):
        manifest = {"id": str(number), "units": {}}
        ledger.do({"action": "record", "holder": "me", "manifest": manifest, "entry": {}, "keep": 5})
    told = ledger.do({"action": "read", "holder": ""})
    assert [each["id"] for each in told["releases"]] == ["7", "6", "5", "4", "3"]
    assert told["current"]["id"] == "7"


def test_going_back_and_forth_forgets_no_release() -> None:
    for number in range(1, 9):
        manifest = {"id": str(number), "units": {}} | ({"back_to": "1"} if 2 < number < 8 else {})
        ledger.do({"action": "record", "holder": "me", "manifest": manifest, "entry": {}, "keep": 3})
    told = ledger.do({"action": "lock", "holder": "me", "seconds": 60, "wait": 0})
    assert [each["id"] for each in told["releases"]] == ["8", "7", "6", "5", "4", "3", "2", "1"]


def test_every_line_of_the_audit_log_has_its_time(folder: Path) -> None:
    ledger.audit({"who": "me", "action": "deploy"})
    ledger.audit({"who": "me", "action": "rollback"})
    lines = [json.loads(line) for line in (folder / "log" / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["deploy", "rollback"]
    assert all(line["time"].endswith("Z") for line in lines)
