"""Every role is made like the others."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
TASK_FILES = {"main", "preflight", "install", "configure", "service", "verify"}
LONGEST_TASK_FILE = 100
tables = runpy.run_path(str(ROOT / "docs" / "role_tables.py"))

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


def is_expression(value: Any) -> bool:
    return "{{" in str(value)


@each_role
def test_every_default_is_specified_and_every_option_has_a_default(role: Path) -> None:
    options, defaults = tables["options"](role), tables["defaults"](role)
    assert set(defaults) <= set(options)
    assert {name for name in options if name not in defaults} <= {
        n for n, o in options.items() if o.get("required")
    }


@each_role
def test_specs_and_defaults_say_the_same(role: Path) -> None:
    defaults = tables["defaults"](role)
    for name, option in tables["options"](role).items():
        if "default" in option:
            assert option["default"] == defaults[name], name
        elif name in defaults and not option.get("required"):
            assert is_expression(defaults[name]) or defaults[name] in (None, [], {}), name


@each_role
def test_a_public_variable_begins_with_the_roles_name(role: Path) -> None:
    assert [name for name in tables["options"](role) if not name.startswith(f"{role.name}_")] == []


@each_role
def test_a_default_has_a_comment_above_it(role: Path) -> None:
    lines = (role / "defaults" / "main.yml").read_text().splitlines()
    told = False
    for line in lines:
        if line.startswith("#"):
            told = True
        elif not line.strip():
            told = False
        elif line[0].isalpha():
            assert told, line


@each_role
def test_the_table_in_the_readme_is_what_the_specs_say(role: Path) -> None:
    assert (role / "README.md").read_text() == tables["readme"](role)
    assert "| `" in tables["readme"](role)


@each_role
def test_the_tasks_are_in_the_files_that_all_roles_have(role: Path) -> None:
    names = {path.stem for path in (role / "tasks").glob("*.yml")}
    assert {"main", "preflight", "verify"} <= names
    assert names <= TASK_FILES | {path.name for path in (role / "tasks").iterdir() if path.is_dir()} | extra(
        role
    )


def test_every_variable_has_a_description_of_its_own() -> None:
    said: dict[str, list[str]] = {}
    for role in ROLES:
        for name, option in tables["options"](role).items():
            said.setdefault(tables["_description"](option), []).append(name)
    assert [names for names in said.values() if len(names) > 1] == []


@each_role
def test_the_keys_of_a_variable_have_descriptions_of_their_own(role: Path) -> None:
    waiting = [tables["options"](role)]
    for options in waiting:
        waiting += [option["options"] for option in options.values() if "options" in option]
        described = [tables["_description"](option) for option in options.values()]
        assert len(set(described)) == len(described)


def extra(role: Path) -> set[str]:
    """Return task files that the index does not name: those that another file includes."""
    files = {path: path.read_text() for path in (role / "tasks").glob("*.yml") if path.stem != "main"}
    return {path.stem for path in files if any(path.name in text for text in files.values())}


@each_role
def test_a_role_has_a_scenario_with_tests(role: Path) -> None:
    scenario = ROOT / "molecule" / role.name
    assert (scenario / "converge.yml").exists()
    assert list((scenario / "tests").glob("test_*.py"))


@each_role
def test_a_template_says_that_it_is_managed(role: Path) -> None:
    for template in (role / "templates").rglob("*.j2"):
        if not template.name.endswith(("acl.j2", "json.j2", "htpasswd.j2")):
            assert "ansible_managed" in "".join(template.read_text().splitlines(keepends=True)[:2]), template


@each_role
def test_a_task_name_is_short_and_has_no_full_stop(role: Path) -> None:
    for path in (role / "tasks").rglob("*.yml"):
        for task in yaml.safe_load(path.read_text()) or []:
            assert len(task["name"]) <= 80, task["name"]
            assert not task["name"].endswith("."), task["name"]
