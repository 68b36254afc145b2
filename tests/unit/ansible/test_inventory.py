"""Environments on top of their shared wiring, as ansible-inventory shows them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
COMMON, PRODUCTION = "inventories/common", "inventories/production"
SMALL = {"all": {"children": {"cache": {"hosts": {"one": {}}}, "workers": {"hosts": {"two": {}}}}}}
Listed = Callable[..., "subprocess.CompletedProcess[str]"]


def ansible_inventory(*arguments: str | Path, root: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    """Show an inventory as seen from a folder with this repository's ansible.cfg."""
    command = (Path(sys.executable).parent / "ansible-inventory", *arguments, "--list")
    environment = os.environ | {"AISHA_VAULT_PASSWORD": "of-a-test", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def variables(folder: Path) -> dict[str, Any]:
    """Return the variables of each host of an environment."""
    return dict(json.loads(ansible_inventory("-i", folder).stdout)["_meta"]["hostvars"])


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return an environment with a server in two groups alone, which says nothing else."""
    write(tmp_path / "small" / "hosts.yml", SMALL)
    return tmp_path / "small"


def test_an_environment_is_named_by_one_option_or_by_none() -> None:
    shown = {
        ansible_inventory(*arguments).stdout
        for arguments in ((), ("-i", PRODUCTION), ("-i", COMMON, "-i", PRODUCTION))
    }
    (only,) = shown
    assert json.loads(only)["_meta"]["hostvars"]["one"]["redis_tls_port"] == 6379


@pytest.mark.parametrize(
    "file",
    ["group_vars/all/environment.yml", "group_vars/cache.yml", "group_vars/servers.yml", "host_vars/one.yml"],
)
def test_an_environment_overrides_a_value_of_any_group_in_any_of_its_files(
    environment: Path, file: str
) -> None:
    write(environment / file, {"redis_tls_port": 6380, "container_networks": "10.9.0.0/16"})
    found = variables(environment)["one"]
    assert (found["redis_tls_port"], found["container_networks"]) == (6380, "10.9.0.0/16")
    assert found["redis_port"] == 0


def test_an_environment_lists_only_the_groups_that_it_has_servers_for(environment: Path) -> None:
    found = variables(environment)
    assert ("redis_tls_port" in found["one"], "redis_tls_port" in found["two"]) == (True, False)
    assert "worker_image" in found["two"]
    groups = json.loads(ansible_inventory("-i", environment).stdout)
    assert {"database", "monitoring"} <= set(groups["servers"]["children"])


def test_an_environment_that_does_not_exist_is_named_with_those_that_do() -> None:
    refused = ansible_inventory("-i", "inventories/stagign")
    assert refused.returncode != 0
    assert "inventories/stagign does not exist; there are: inventories/production, " in refused.stderr


def test_an_environment_without_a_server_is_refused(environment: Path) -> None:
    write(environment / "hosts.yml", {"all": {"hosts": {"one": {}}, "children": {"bots": {"hosts": {}}}}})
    refused = ansible_inventory("-i", environment)
    assert refused.returncode != 0
    assert "hosts.yml puts no server into any group" in refused.stderr


def test_nothing_is_read_without_the_wiring(environment: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "ansible", tmp_path / "clone" / "ansible")
    shutil.copy(ROOT / "ansible.cfg", tmp_path / "clone")
    refused = ansible_inventory("-i", environment, root=tmp_path / "clone")
    assert refused.returncode != 0
    assert "inventories/common is missing" in refused.stderr


@pytest.mark.parametrize("environment", ["inventories/rehearsal", "molecule/one-host/inventory"])
def test_the_machine_that_ansible_runs_on_builds_and_is_no_server(environment: str, tmp_path: Path) -> None:
    hosts = shutil.copy(
        ROOT / environment / "hosts.yml", tmp_path
    )  # alone: beside it may be somebody's secrets
    groups = json.loads(ansible_inventory("-i", hosts).stdout)
    servers = {
        host for group in groups["servers"]["children"] for host in groups.get(group, {}).get("hosts", [])
    }
    assert groups["builders"]["hosts"] == ["localhost"]
    assert servers
    assert "localhost" not in servers


def test_a_builder_of_production_is_a_server() -> None:
    groups = json.loads(ansible_inventory("-i", PRODUCTION).stdout)
    assert "builders" in groups["servers"]["children"]
