"""Who may know whom: the steps of a message's way know its rows, and not each other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app" / "aisha"
MIGRATIONS = APP / "database" / "migrations"
STEPS = ("receive", "store", "queue", "work", "deliver")
CREATE = re.compile(r"CREATE TABLE (\w+)")
TABLES = sorted({name for path in MIGRATIONS.rglob("*.py") for name in CREATE.findall(path.read_text())})
STATEMENT = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?(?:{'|'.join(TABLES)})\b")
OUTSIDE = sorted(path for path in APP.rglob("*.py") if APP / "database" not in path.parents)


def imported(path: Path) -> Iterator[str]:
    """The modules of `aisha` that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strings(path: Path) -> Iterator[str]:
    """The strings of a file, those of f-strings among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def of_package(modules: Iterator[str], *packages: str) -> list[str]:
    return [name for name in modules if name.startswith(tuple(f"aisha.{package}." for package in packages))]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_imports_no_other_step(step: str) -> None:
    others = [each for each in STEPS if each != step]
    found = {path.name: of_package(imported(path), *others) for path in (APP / step).rglob("*.py")}
    assert found
    assert not {name: modules for name, modules in found.items() if modules}


def test_the_rooms_import_no_step() -> None:
    assert not [
        name for path in (APP / "database").rglob("*.py") for name in of_package(imported(path), *STEPS)
    ]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(APP)))
def test_sql_of_a_table_stands_in_its_room(path: Path) -> None:
    assert not [text for text in strings(path) if STATEMENT.search(text)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM messages",
        "UPDATE jobs SET a = 1",
        "INSERT INTO outbox (id)",
        "a JOIN\n  chats USING (b)",
    ],
)
def test_such_sql_is_recognised(text: str) -> None:
    assert STATEMENT.search(text)
