"""What Docker reads is what the role's variables say."""

import base64
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SPEC = importlib.util.spec_from_file_location(
    "docker_filter", Path(__file__).parents[3] / "ansible/plugins/filter/docker.py"
)
docker = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docker)

FIXED = {"icc": False, "log-driver": "json-file", "log-opts": {"max-size": "10m"}}
RELOADABLE = {"debug": False, "insecure-registries": [], "live-restore": True}
PEM = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"


def settings(wanted: dict[str, Any] | None = None, registries: Iterable[dict[str, Any]] = ()) -> Any:
    return docker.docker_settings(wanted or {}, FIXED, RELOADABLE, registries)


def test_what_nobody_sets_is_the_roles_own() -> None:
    assert settings() == FIXED | RELOADABLE


def test_what_is_wanted_takes_the_place_of_the_roles_own() -> None:
    assert settings({"icc": True, "mtu": 1400}) == FIXED | RELOADABLE | {"icc": True, "mtu": 1400}


def test_another_log_driver_is_not_given_the_options_of_this_one() -> None:
    assert "log-opts" not in settings({"log-driver": "journald"})
    assert settings({"log-driver": "journald", "log-opts": {"tag": "x"}})["log-opts"] == {"tag": "x"}
    assert settings({"log-driver": "json-file"})["log-opts"] == {"max-size": "10m"}


def test_registries_that_nobody_checks_come_from_both_lists_once() -> None:
    listed = [
        {"address": "b:1", "insecure": True},
        {"address": "c:1", "insecure": False},
        {"address": "d:1", "ca": PEM},
    ]
    assert settings({"insecure-registries": ["b:1", "a:1"]}, listed)["insecure-registries"] == ["a:1", "b:1"]
    assert settings({"insecure-registries": None}, listed)["insecure-registries"] == ["b:1"]


def test_a_null_is_no_line_of_the_file() -> None:
    assert docker.docker_file(settings({"icc": None})) == {k: v for k, v in settings().items() if k != "icc"}


def test_what_a_reload_applies_needs_no_restart() -> None:
    before = docker.docker_restart_settings(settings(), RELOADABLE)
    changed = settings({"debug": True, "live-restore": False}, [{"address": "b:1", "insecure": True}])
    assert docker.docker_restart_settings(changed, RELOADABLE) == before


def test_what_a_reload_leaves_needs_a_restart() -> None:
    before = docker.docker_restart_settings(settings(), RELOADABLE)
    assert docker.docker_restart_settings(settings({"icc": True}), RELOADABLE) != before
    assert docker.docker_restart_settings(settings({"mtu": 1400}), RELOADABLE) != before


def test_a_setting_that_is_gone_from_the_file_needs_a_restart_because_docker_keeps_its_value() -> None:
    before = docker.docker_restart_settings(settings(), RELOADABLE)
    assert docker.docker_restart_settings(settings({"live-restore": None}), RELOADABLE) != before


def test_an_authority_is_given_as_text_or_as_a_file_of_the_host() -> None:
    registries = [
        {"address": "a:5000", "ca": PEM},
        {"address": "b:5000", "ca": "/etc/ca.pem"},
        {"address": "c:5000"},
    ]
    slurped = [{"source": "/etc/ca.pem", "content": base64.b64encode(b"from the host").decode()}]
    assert docker.docker_trust(registries, slurped, "/certs") == [
        {"path": "/certs/a:5000/ca.crt", "content": PEM},
        {"path": "/certs/b:5000/ca.crt", "content": "from the host"},
    ]


def test_this_machine_has_an_address_in_a_network() -> None:
    assert docker.docker_gateway('[{"IPAM": {"Config": [{"Gateway": "172.31.0.1"}]}}]') == "172.31.0.1"
