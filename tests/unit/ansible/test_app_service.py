"""A service's releases and containers on one host; the containers themselves are tested by the scenarios."""

import contextlib
import importlib.util
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import containers, releases, roll

FILE = Path(__file__).parents[3] / "ansible/plugins/modules/app_service.py"
SPEC = importlib.util.spec_from_file_location("app_service", FILE)
app_service = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(app_service)

PARAMETERS: dict[str, Any] = {
    "service": "bot",
    "image": "registry:5000/aisha@sha256:1",
    "environment": {"AISHA_LOG_LEVEL": "info"},
    "secrets": {"AISHA_BOT_TOKEN": "1:secret"},
    "command": ["bot"],
    "instances": 2,
    "slots": 2,
    "ports": [{"container": 8080, "host": 8100, "address": "0.0.0.0"}],
    "mounts": {"/var/lib/aisha/models": "/models"},
    "memory_mib": 512,
    "cpus": 1.5,
    "pids": 256,
    "scratch_mib": 64,
    "user": f"{os.getuid()}:{os.getgid()}",
    "ready_port": 8081,
    "ready_path": "/health/ready",
    "live_path": "/health/live",
    "ready_seconds": 60,
    "drain_seconds": 30,
    "wait_for_drain": True,
}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(releases, "RELEASES", tmp_path)
    return releases.Releases("bot")


def container(
    release: str, *, instance: int = 1, running: bool = True, restart: str = "unless-stopped"
) -> dict:
    labels = {
        "aisha.service": "bot",
        "aisha.release": release,
        "aisha.instance": str(instance),
        "aisha.slot": "0",
    }
    return {
        "Config": {"Labels": labels},
        "State": {"Running": running, "Restarting": False},
        "HostConfig": {"RestartPolicy": {"Name": restart}},
    }


def test_a_release_is_named_by_what_is_in_it() -> None:
    manifest = releases.manifest_of(PARAMETERS)
    assert releases.release_of(manifest) == releases.release_of(releases.manifest_of(PARAMETERS))
    for change in (
        {"image": "registry:5000/aisha@sha256:2"},
        {"environment": {"AISHA_LOG_LEVEL": "debug"}},
        {"secrets": {"AISHA_BOT_TOKEN": "1:other"}},
        {"memory_mib": 1024},
        {"cpus": 1.0},
    ):
        other = releases.manifest_of(PARAMETERS | change)
        assert releases.release_of(other) != releases.release_of(manifest), change


def test_a_manifest_has_no_secret_in_it() -> None:
    assert "1:secret" not in str(releases.manifest_of(PARAMETERS))


def test_changes_are_told_in_words_and_secrets_by_name_only() -> None:
    old = releases.manifest_of(PARAMETERS)
    new = releases.manifest_of(
        PARAMETERS
        | {"image": "i@sha256:2", "environment": {}, "secrets": {"AISHA_BOT_TOKEN": "2:new"}, "instances": 3}
    )
    assert releases.changes_between(old, new) == [
        "image registry:5000/aisha@sha256:1 -> i@sha256:2",
        "AISHA_LOG_LEVEL: info -> None",
        "instances: 2 -> 3",
        "secret AISHA_BOT_TOKEN",
    ]
    assert releases.changes_between(old, old) == []
    assert releases.changes_between({}, old) == ["first release, registry:5000/aisha@sha256:1"]


def test_a_release_is_written_whole_with_its_secrets_for_its_user_only(host: Any) -> None:
    manifest = releases.manifest_of(PARAMETERS)
    release = releases.release_of(manifest)
    assert not host.is_whole(release)
    host.write(manifest, PARAMETERS["secrets"])
    assert host.is_whole(release)
    secret = host.folder / release / "secrets" / "AISHA_BOT_TOKEN"
    assert secret.read_text() == "1:secret"
    assert secret.stat().st_mode & 0o777 == 0o400
    assert secret.parent.stat().st_mode & 0o777 == 0o500


def test_a_release_whose_secret_was_changed_by_hand_is_not_whole(host: Any) -> None:
    manifest = releases.manifest_of(PARAMETERS)
    host.write(manifest, PARAMETERS["secrets"])
    secret = host.folder / releases.release_of(manifest) / "secrets" / "AISHA_BOT_TOKEN"
    secret.chmod(0o600)
    secret.write_text("1:other")
    assert not host.is_whole(releases.release_of(manifest))


def test_the_current_release_is_the_one_that_was_remembered(host: Any) -> None:
    assert host.current == ""
    host.write(releases.manifest_of(PARAMETERS), PARAMETERS["secrets"])
    release = releases.release_of(releases.manifest_of(PARAMETERS))
    host.remember(release)
    assert host.current == release
    host.remember("")
    assert host.current == ""


def test_only_releases_that_nobody_wants_are_removed(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(roll, "docker", lambda *words, **_: asked.append(words) or "")
    monkeypatch.setattr(roll, "containers_of", lambda service: [container(names[1])])
    names = []
    for image in "abcde":
        manifest = releases.manifest_of(PARAMETERS | {"image": image})
        host.write(manifest, PARAMETERS["secrets"])
        names.append(releases.release_of(manifest))
    host.remember(names[0])
    app_service.forget(SimpleNamespace(params={"keep": None}), host)
    assert all(map(host.is_whole, names))
    app_service.forget(SimpleNamespace(params={"keep": [names[2]]}), host)
    assert sorted(words[-1] for words in asked) == ["d", "e"]
    assert [host.is_whole(name) for name in names] == [True, True, True, False, False]


def test_a_container_is_confined_and_its_secrets_are_not_among_its_arguments() -> None:
    manifest = releases.manifest_of(PARAMETERS)
    arguments = containers.run_arguments(manifest, "abc", Path("/var/lib/aisha/releases/bot/abc"), 2, 1)
    assert {
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--memory=512m",
        "--cpus=1.5",
        "--pids-limit=256",
        "--restart=unless-stopped",
        "--name=aisha-bot-2-b",
        "--publish=0.0.0.0:8103:8080/tcp",
        "--env=AISHA_LOG_LEVEL=info",
    } <= set(arguments)
    assert "1:secret" not in " ".join(arguments)
    assert arguments[-2:] == ["registry:5000/aisha@sha256:1", "bot"]


def test_a_release_from_before_there_were_limits_has_none() -> None:
    manifest = releases.manifest_of(PARAMETERS)
    del manifest["options"]["cpus"]
    assert not [each for each in containers.confinement(manifest, Path("/")) if each.startswith("--cpus")]


def test_every_slot_of_every_instance_has_a_port_of_its_own() -> None:
    port = PARAMETERS["ports"][0]
    found = [containers.published(port, 2, instance, slot) for instance in (1, 2) for slot in (0, 1)]
    assert found == [f"0.0.0.0:{number}:8080/tcp" for number in (8100, 8101, 8102, 8103)]


def test_a_container_serves_when_it_runs_and_was_not_told_to_end() -> None:
    assert containers.is_wanted(container("abc"), "abc")
    assert not containers.is_wanted(container("old"), "abc")
    assert not containers.is_wanted(container("abc", running=False), "abc")
    assert not containers.is_wanted(container("abc", restart="no"), "abc")


def restarted(times: int) -> dict:
    """Return a container that Docker has started anew so many times, and that runs."""
    up = container("new") | {"Id": "1", "Name": "/aisha-bot-1-a", "RestartCount": times}
    up["State"]["ExitCode"] = 0
    return up | {"NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}}}


@pytest.mark.parametrize(("times", "well"), [(2, True), (3, False)])
def test_only_a_restart_since_it_was_ready_is_held_against_a_container(
    host: Any, monkeypatch: pytest.MonkeyPatch, times: int, well: bool
) -> None:
    manifest = releases.manifest_of(PARAMETERS | {"instances": 1})
    monkeypatch.setattr(host, "manifest", lambda release: manifest)
    monkeypatch.setattr(roll, "containers_of", lambda service: [restarted(times)])
    monkeypatch.setattr(roll, "words_of", lambda name: "")
    host.remember_restarts({"aisha-bot-1-a": 2})
    assert (roll.failures(host, "new") == []) is well


@pytest.mark.parametrize(("before", "well"), [(2, True), (0, False)])
def test_a_container_that_was_restarted_once_upon_a_time_is_ready_all_the_same(
    monkeypatch: pytest.MonkeyPatch, before: int, well: bool
) -> None:
    monkeypatch.setattr(containers, "docker", lambda *arguments, **options: json.dumps([restarted(2)]))
    monkeypatch.setattr(containers, "ask", lambda *arguments: "ready")
    monkeypatch.setattr(containers, "words_of", lambda name: "")
    said = "aisha-bot-1-a ended and was started anew at its start"
    expected = contextlib.nullcontext() if well else pytest.raises(containers.ContainerError, match=said)
    with expected:
        containers.wait_until_ready("aisha-bot-1-a", PARAMETERS, before)


def test_check_mode_brings_no_service_to_a_release_and_asks_for_none(host: Any) -> None:
    module = SimpleNamespace(params={"release": "new"}, check_mode=True, fail_json=pytest.fail)
    assert app_service.roll(module, host)["changed"]
