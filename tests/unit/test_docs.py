"""The documentation names what there is."""

import re
import runpy
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import aisha.metrics  # noqa: F401 - registers them
from aisha.cli import VERBS
from aisha.settings import Settings, variable

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
METRICS = sorted({family.name for family in REGISTRY.collect() if family.name.startswith("aisha_")})
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def page(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_documented(name: str) -> None:
    assert f"| `{variable(name)}` |" in page("docs/settings.md")


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_documented(name: str) -> None:
    assert re.search(rf"\| `{name}(_total)?` \|", page("docs/metrics.md"))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_in_the_readme(verb: str) -> None:
    assert f"aisha {verb}" in page("README.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_variable_that_a_page_names_is_a_setting(path: Path) -> None:
    known = {variable(name) for name in Settings.model_fields} | {"AISHA_SANDBOX_TOKEN"}
    assert set(re.findall(r"\bAISHA_[A-Z0-9_]+[A-Z0-9]\b", path.read_text())) <= known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_verb_that_a_page_names_exists(path: Path) -> None:
    named = set(re.findall(r"(?:^|`|\$ |bin/)aisha ([a-z]+)\b", path.read_text(), re.MULTILINE))
    assert named <= set(VERBS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(path: Path) -> None:
    assert all((path.parent / link).exists() for link in LINK.findall(path.read_text()))


@pytest.mark.parametrize("name", ["settings", "metrics"])
def test_a_generated_page_is_what_the_code_says(name: str) -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert page(f"docs/{name}.md") == generate[f"{name}_page"]()
