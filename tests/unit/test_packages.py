"""Three packages in one distribution; a server gets `aisha` alone."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.imports import APP, own_imports

from aisha.cli import FOR_DEVELOPERS, VERBS

BESIDE = ("aisha_embedded", "aisha_sandbox")
SHARED = {"aisha.errors", "aisha.logs", "aisha.settings"}
ALLOWED = {
    "aisha": set(),
    "aisha_embedded": {*SHARED, "aisha.cli", "aisha.speech.allocator"},  # the verbs that it starts ahead
    "aisha_sandbox": SHARED,
}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_takes_from_the_others_only_what_is_shared(package: str) -> None:
    taken = {name for path in (APP / package).rglob("*.py") for name in own_imports(path)}
    others = {name for name in taken if name.partition(".")[0] in ALLOWED.keys() - {package}}
    assert others == ALLOWED[package]


def test_aisha_names_the_packages_beside_it_only_in_the_table_of_verbs() -> None:
    named = {
        (path.name, *re.findall("|".join(BESIDE), text))
        for path in (APP / "aisha").rglob("*.py")
        if any(package in (text := path.read_text()) for package in BESIDE)
    }
    assert named == {("cli.py", *BESIDE)}
    assert {verb for verb, (module, _) in VERBS.items() if module.startswith(BESIDE)} == set(FOR_DEVELOPERS)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """Return a folder with `aisha` and nothing beside it, as in the image."""
    (tmp_path / "aisha").symlink_to(APP / "aisha")
    return tmp_path


def aisha(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.remove({str(APP)!r}); from aisha.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_help_lists_only_verbs_that_the_installation_has(server: Path) -> None:
    shown = aisha(server, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    listed = re.findall(r"^  ([a-z]+)  ", shown.stdout.partition("Commands:")[2], re.MULTILINE)
    assert listed == [verb for verb in VERBS if verb not in FOR_DEVELOPERS]


@pytest.mark.parametrize(("verb", "package"), [*zip(FOR_DEVELOPERS, BESIDE, strict=True)])
def test_a_verb_that_is_not_installed_says_where_to_get_it(server: Path, verb: str, package: str) -> None:
    refused = aisha(server, verb, "--help")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"aisha: `aisha {verb}` is not part of this installation, which lacks the package {package}: "
        "install it from a clone of Aisha's source, with `make run`\n"
    )
