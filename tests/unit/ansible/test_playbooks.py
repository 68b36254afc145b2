"""Playbooks as their operator runs them on production's inventory, whose servers are not there."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAYBOOKS = "ansible/playbooks"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    """Return a copy of production's inventory, with one server that does not answer."""
    shutil.copytree(ROOT / "inventories", tmp_path / "inventories", symlinks=True)
    production = tmp_path / "inventories" / "production"
    hosts = yaml.safe_load((production / "hosts.yml").read_text())
    hosts["all"]["hosts"]["one"] = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    (production / "hosts.yml").write_text(yaml.safe_dump(hosts))
    return production


@pytest.fixture
def run(inventory: Path, tmp_path: Path) -> Run:
    """Return a function that runs a playbook on that inventory."""

    def play(playbook: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {
            "AISHA_VAULT_PASSWORD": "of-a-test",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(tmp_path / "facts"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = (Path(sys.executable).parent / "ansible-playbook", "-i", inventory, playbook, *arguments)
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return play


def test_the_secrets_are_made_beside_the_inventory(run: Run, inventory: Path) -> None:
    done = run(f"{PLAYBOOKS}/secrets.yml")
    assert done.returncode == 0, done.stdout
    assert (inventory / "group_vars/all/vault.yml").read_text().startswith("$ANSIBLE_VAULT")
    assert "0 secrets made" in run(f"{PLAYBOOKS}/secrets.yml").stdout


def test_releases_are_asked_of_the_server_and_not_of_this_machine(run: Run) -> None:
    done = run(f"{PLAYBOOKS}/rollback.yml", "--tags", "list")
    assert done.returncode != 0
    assert "unreachable=1" in done.stdout


@pytest.mark.parametrize("playbook", ["site.yml", f"{PLAYBOOKS}/deploy.yml", f"{PLAYBOOKS}/rollback.yml"])
def test_a_limit_does_not_leave_out_the_release(run: Run, playbook: str) -> None:
    listed = run(playbook, "--limit", "one", "--list-hosts").stdout
    assert re.search(r"(Release|Roll back)\s.*\n.*\n +hosts \(1\):", listed), listed


def test_a_vault_password_is_made_only_where_no_vault_was_encrypted_with_another(tmp_path: Path) -> None:
    (tmp_path / "ansible").mkdir()
    (tmp_path / "inventories").mkdir()
    script = shutil.copy(ROOT / "ansible" / "vault-password", tmp_path / "ansible")

    def printed(config: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(tmp_path / config)}
        return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)

    made = printed("mine").stdout
    (tmp_path / "inventories" / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    assert (len(made) > 32, printed("mine").stdout) == (True, made)
    refused = printed("another")
    assert refused.returncode == 1
    assert "AISHA_VAULT_PASSWORD" in refused.stderr
    assert "vault.yml" in refused.stderr


def test_the_wiring_knows_where_containers_have_their_addresses() -> None:
    common = yaml.safe_load((ROOT / "inventories/common/all.yml").read_text())["all"]["vars"]
    docker = (ROOT / "roles/docker/vars/main.yml").read_text()
    assert f"default-address-pools: [{{base: {common['container_networks']}, size: 24}}]" in docker


def test_what_a_task_starts_may_use_every_processor(run: Run, tmp_path: Path) -> None:
    told = tmp_path / "told"
    tell = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(str(os.sched_getaffinity(0)))"
    task = {"ansible.builtin.command": {"argv": [sys.executable, "-c", tell]}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run(str(tmp_path / "play.yml"))
    assert done.returncode == 0, done.stdout
    assert told.read_text() == str(os.sched_getaffinity(0))


@pytest.mark.skipif(
    not Path("/usr/lib/python3/dist-packages/apt").exists(), reason="no Debian with python3-apt"
)
def test_packages_are_asked_for_on_the_machine_that_ansible_runs_on(run: Run, tmp_path: Path) -> None:
    """The Python of a virtual environment has no bindings to apt, and Mitogen cannot change to one that has them."""
    role = {"name": "images", "tasks_from": "install.yml"}
    task = {"ansible.builtin.include_role": role, "vars": {"__images_packages": ["dpkg"]}}
    known = {"__images_preflight": {"missing": ["dpkg"]}, "ansible_python_interpreter": sys.executable}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": known,
        "tasks": [task],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run(str(tmp_path / "play.yml"), "--check")
    assert done.returncode == 0, done.stdout


def test_the_scenario_of_one_host_has_every_group_of_the_rehearsal() -> None:
    def groups(inventory: str) -> set[str]:
        return set(yaml.safe_load((ROOT / inventory).read_text())["all"]["children"]["servers"]["children"])

    assert groups("molecule/one-host/inventory/hosts.yml") == groups("inventories/rehearsal/hosts.yml")


def test_what_bots_and_workers_share_is_written_once(run: Run, inventory: Path, tmp_path: Path) -> None:
    written = {
        "app_environment": {"AISHA_MAX_DURATION": 7200},
        "worker_environment": {"AISHA_LOG_LEVEL": "debug"},
    }
    (inventory / "group_vars/all/environment.yml").write_text(yaml.safe_dump(written))
    told = "{{ [__bot_environment, __worker_environment] | map('to_json') | join }}"
    task = {"ansible.builtin.debug": {"msg": told}}
    known = {f"{role}_{name}": "" for role in ("bot", "worker") for name in ("ca", "s3_endpoint")}
    roles = [{"role": role, "when": False} for role in ("bot", "worker")]
    play = {"hosts": "one", "gather_facts": False, "vars": known, "roles": roles, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    said = " ".join(run(str(tmp_path / "play.yml")).stdout.split())
    assert said.count('"AISHA_MAX_DURATION": 7200') == 2, said
    assert said.count('"AISHA_LOG_LEVEL": "debug"') == 1


def test_the_proxy_knows_the_bots_of_a_server_that_has_more(
    run: Run, inventory: Path, tmp_path: Path
) -> None:
    hosts = yaml.safe_load((inventory / "hosts.yml").read_text())
    hosts["all"]["hosts"] = {
        "one": {"base_address": "10.0.0.1"},
        "two": {"base_address": "10.0.0.2", "bot_instances": 3},
    }
    hosts["all"]["children"]["servers"]["children"]["bots"] = {"hosts": {"one": {}, "two": {}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    told = "{{ nginx_upstreams[0].slots | map(attribute='address') | join(' ') }}"
    play = {"hosts": "proxy", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": told}}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    said = " ".join(run(str(tmp_path / "play.yml")).stdout.split())
    assert " ".join(f"10.0.0.1:{port}" for port in range(8100, 8104)) in said, said
    assert " ".join(f"10.0.0.2:{port}" for port in range(8100, 8106)) in said


def test_every_role_refuses_a_variable_that_has_another_name_now(run: Run, tmp_path: Path) -> None:
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [{"preflight": {}}]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    refused = run(str(tmp_path / "play.yml"), "-e", "bot_address=10.0.0.2")
    assert refused.returncode != 0
    assert "bot_address is called bot_bind now: rename it where you set it" in refused.stdout


def test_a_renamed_variable_is_gone_and_its_new_name_is_there() -> None:
    renamed = runpy.run_path(str(ROOT / "ansible/plugins/action/preflight.py"))["RENAMED"]
    roles = (ROOT / "roles").glob("*/defaults/main.yml")
    public = {name for path in roles for name in yaml.safe_load(path.read_text())}
    assert set(renamed.values()) <= public
    assert not set(renamed) & public
