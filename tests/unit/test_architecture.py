"""docs/architecture.md has the plan of the code as it is; functions stay short, and no imports run in a circle."""

import ast
import re
import statistics
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from tests.imports import APP, MODULES, own_imports

ROOT = Path(__file__).parents[2]
ROOMS = re.compile(r"^\| `(\w+)/` \|.*\| ([^|]*) \|$", re.MULTILINE)
LONGEST, MEDIAN = 40, 8


def room_of(module: str) -> str | None:
    """Return a module's folder: a part of `aisha`, or another package; None for what is beside the folders."""
    package, *rest = module.split(".")
    if package != "aisha":
        return package
    return rest[0] if rest and (APP / package / rest[0]).is_dir() else None


def rooms() -> dict[str, set[str]]:
    """Return which rooms each room imports from."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if room := room_of(module):
            others = {other for name in own_imports(path) if (other := room_of(name))}
            found.setdefault(room, set()).update(others - {room})
    return found


def functions() -> Iterator[tuple[int, str]]:
    """Yield each function's length in lines, and where it is."""
    for folder in ("app", "ansible", "roles", "molecule", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert node.end_lineno
                    yield (
                        node.end_lineno - node.lineno + 1,
                        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
                    )


def test_the_page_names_every_room_and_what_it_imports() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    told = {room: set(re.findall(r"`(\w+)`", others)) for room, others in ROOMS.findall(page)}
    assert told == rooms()


def test_no_imports_run_in_a_circle() -> None:
    TopologicalSorter({module: own_imports(path) for module, path in MODULES.items()}).prepare()


def test_functions_are_short() -> None:
    found = sorted(functions(), reverse=True)
    assert [where for lines, where in found if lines > LONGEST] == []
    assert statistics.median(lines for lines, _ in found) <= MEDIAN


@pytest.mark.parametrize(
    "place",
    re.findall(
        r"`((?:app|docs|roles|ansible|inventories|tests|molecule)/[\w./-]+)`",
        (ROOT / "CONTRIBUTING.md").read_text(),
    ),
)
def test_every_place_that_contributors_are_sent_to_is_there(place: str) -> None:
    assert (ROOT / place).exists()
