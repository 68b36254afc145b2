"""Every template renders, by Ansible itself and with nothing undefined, for the variables of its role's scenario."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader, test_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted((ROOT / "roles").glob("*/templates/**/*.j2"))
FACTS = {
    "distribution_release": "trixie",
    "distribution": "Debian",
    "distribution_major_version": "13",
    "default_ipv4": {"address": "192.0.2.10", "interface": "eth0"},
    "hostname": "one",
    "memtotal_mb": 4096,
    "processor_vcpus": 2,
}
HOST = {
    "ansible_facts": FACTS,
    "ansible_managed": "Ansible managed",
    "inventory_hostname": "one",
    "ansible_play_hosts_all": ["one"],
    "ansible_check_mode": False,
    "groups": {"all": ["one"]},
    "hostvars": {"one": {"ansible_facts": FACTS}},
}

SECRET = re.compile(r"\bvault_[a-z0-9_]+")

init_plugin_loader([])
filter_loader.add_directory(str(ROOT / "ansible" / "plugins" / "filter"))
test_loader.add_directory(str(ROOT / "ansible" / "plugins" / "test"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def trusted(value: Any) -> Any:
    """Return data with every string marked as a template, as Ansible marks what it reads from a role."""
    if isinstance(value, dict):
        return {key: trusted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def variables(role: Path) -> dict[str, Any]:
    """Return what a template of the role sees in its scenario: defaults, converge's variables, the role's own.

    Variables that tasks set, such as a loop's item, are in `render.yml` beside the role's tests.
    """
    scenario = ROOT / "molecule" / role.name
    converge = next(
        iter(play.get("vars", {}) for play in read(scenario / "converge.yml") if "roles" in play), {}
    )
    vault = dict.fromkeys(
        SECRET.findall((role / "defaults" / "main.yml").read_text()), "a-secret-for-rendering"
    )
    own = read(role / "vars" / "main.yml") or {}
    return (
        HOST
        | vault
        | trusted(
            read(role / "defaults" / "main.yml") | converge | own | (read(scenario / "render.yml") or {})
        )
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "roles")))
def test_a_template_renders(path: Path) -> None:
    role = path.relative_to(ROOT / "roles").parts[0]
    templar = Templar(loader=DataLoader(), variables=variables(ROOT / "roles" / role))
    templar.environment.loader.searchpath = [str(ROOT / "roles" / role / "templates")]
    rendered = templar.template(trust_as_template(path.read_text()))
    text = rendered if isinstance(rendered, str) else json.dumps(rendered)
    assert text.strip()
    assert "{{" not in text
