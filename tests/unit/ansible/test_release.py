"""A release of the fleet: what each host is to run, in words, in a manifest, and back."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[3] / "ansible/plugins/filter/release.py"
SPEC = importlib.util.spec_from_file_location("release", FILE)
release = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(release)

GROUPS = {"bots": ["app-1"], "workers": ["app-1", "app-2"]}


def prepared(name: str, **more: Any) -> dict[str, Any]:
    """Return what app_service tells of a release that is to replace `old`."""
    told = {
        "release": name,
        "current": "old",
        "changes": ["image a -> b"],
        "must_roll": True,
        "failed": False,
    }
    return told | more


def hostvars() -> dict[str, dict[str, Any]]:
    return {
        "app-1": {"bot_release": prepared("b1"), "worker_release": prepared("w1", must_roll=False)},
        "app-2": {"worker_release": prepared("w2")},
    }


def manifest(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "who": "me", "units": {"app-1": {"bot": f"b-{name}"}}, **more}


def test_units_go_host_by_host_and_the_bot_of_a_host_first() -> None:
    units = release.release_units(hostvars(), GROUPS)
    assert [(unit["host"], unit["service"]) for unit in units] == [
        ("app-1", "bot"),
        ("app-1", "worker"),
        ("app-2", "worker"),
    ]


def test_the_plan_says_that_a_bare_host_is_to_have_its_first_release() -> None:
    units = release.release_units({"app-1": {"bot_release": {"skipped": True}}}, {"bots": ["app-1"]})
    assert release.release_plan(units, {}) == ["app-1: bot: a first release, once this host has Docker"]


def test_the_plan_says_what_changes_where_and_only_that() -> None:
    plan = release.release_plan(release.release_units(hostvars(), GROUPS), {})
    assert plan == ["app-1: bot: image a -> b", "app-2: worker: image a -> b"]
    assert release.release_plan([], {"must_roll": False}) == ["nothing: every host runs its release"]
    assert release.release_plan([], {"must_roll": True}) == ["Telegram: how updates are to come"]


def test_a_manifest_becomes_the_units_to_go_back_to() -> None:
    units = release.release_units(hostvars(), GROUPS)
    written = release.release_manifest(units, "1", "me", {"image": "b"}, [], GROUPS)
    assert written == {
        "id": "1",
        "who": "me",
        "image": "b",
        "units": {"app-1": {"bot": "b1", "worker": "w1"}, "app-2": {"worker": "w2"}},
    }
    back = release.release_units_of(written, {"units": {"app-1": {"bot": "b2"}}}, ["app-1", "app-2"])
    assert [(u["host"], u["service"], u["release"], u["current"]) for u in back] == [
        ("app-1", "bot", "b1", "b2"),
        ("app-1", "worker", "w1", ""),
        ("app-2", "worker", "w2", ""),
    ]


def test_a_manifest_keeps_what_hosts_run_that_the_release_left_out_and_forgets_those_that_are_gone() -> None:
    before = [
        manifest("1", units={"app-1": {"bot": "b1", "worker": "w1"}, "gone": {"bot": "b1"}}),
        manifest("0", units={"app-2": {"worker": "w0"}}),
    ]
    units = release.release_units({"app-2": hostvars()["app-2"], "app-1": {}}, GROUPS)
    written = release.release_manifest(units, "2", "me", {}, before, GROUPS)
    assert written["units"] == {"app-1": {"bot": "b1", "worker": "w1"}, "app-2": {"worker": "w2"}}
    assert before[0]["units"]["app-1"] == {"bot": "b1", "worker": "w1"}


def test_a_host_that_is_gone_keeps_no_other_from_going_back() -> None:
    units = release.release_units_of(
        manifest("1", units={"app-1": {"bot": "b"}, "gone": {"bot": "b"}}), {}, ["app-1"]
    )
    assert [unit["host"] for unit in units] == ["app-1"]


def test_a_failed_return_stops_nothing_of_which_no_manifest_knows() -> None:
    known, unknown = {"host": "app-1", "current": "b1"}, {"host": "app-2", "current": ""}
    assert release.release_undone([known, unknown], "rollback") == [known]
    assert release.release_undone([known, unknown], "deploy") == [unknown, known]


def test_going_back_goes_to_the_one_before() -> None:
    releases = [manifest("3"), manifest("2"), manifest("1")]
    assert release.release_target(releases, releases[0], "")["id"] == "2"
    assert release.release_target(releases, releases[0], "1")["id"] == "1"


def test_going_back_twice_goes_back_further() -> None:
    releases = [manifest("4", back_to="2"), manifest("3"), manifest("2"), manifest("1")]
    assert release.release_target(releases, releases[0], "")["id"] == "1"


def test_a_release_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="no release 9; there are: 2, 1"):
        release.release_target([manifest("2"), manifest("1")], manifest("2"), "9")
    with pytest.raises(ValueError, match="no release before 1; there are: 1"):
        release.release_target([manifest("1")], manifest("1"), "")


def test_what_went_back_and_what_did_not_is_told() -> None:
    unit = {"service": "bot", "host": "app-1", "current": "old"}
    assert release.release_reverted([{"unit": unit}]) == "bot on app-1 is back at old"
    assert "DID NOT go back to old: gone" in release.release_reverted(
        [{"unit": unit, "unreachable": True, "msg": "gone"}]
    )
    assert release.release_reverted([]) == "Nothing else had changed."


def test_why_names_each_unit_that_failed() -> None:
    unit = {"service": "bot", "host": "app-1"}
    results = [{"unit": unit, "failed": True, "msg": "no answer"}, {"unit": unit, "msg": "fine"}]
    assert (
        release.release_why({"msg": "One or more items failed", "results": results})
        == "bot on app-1: no answer"
    )
    assert release.release_why({"msg": "no such file"}) == "no such file"


def test_the_list_marks_the_release_that_runs() -> None:
    lines = release.release_list([manifest("2"), manifest("1")], manifest("1"))
    assert [line[0] for line in lines] == [" ", "*"]


def test_hosts_roll_one_after_the_other_and_go_back_together() -> None:
    units = [
        {"host": host, "service": service, "must_roll": service != "worker" or host == "app-2"}
        for host in ("app-1", "app-2")
        for service in ("bot", "worker")
    ]
    told = [
        [[f"{u['service']} {u['host']}" for u in wave] for wave in release.release_waves(units, action)]
        for action in ("deploy", "rollback")
    ]
    assert told == [
        [["bot app-1"], ["bot app-2", "worker app-2"]],
        [["bot app-1", "bot app-2", "worker app-2"]],
    ]
    assert release.release_waves([], "rollback") == []


def test_what_manifests_name_is_kept() -> None:
    manifests = [manifest("1"), manifest("2"), manifest("2"), manifest("3", units={"app-2": {"bot": "b-9"}})]
    assert release.release_kept(manifests, {"host": "app-1", "service": "bot"}) == ["b-1", "b-2"]
    assert release.release_kept(manifests, {"host": "app-1", "service": "worker"}) == []
