"""Allowed imports: the steps of a message's path know its rows, but not each other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.imports import APP, own_imports

AISHA = APP / "aisha"
MIGRATIONS = AISHA / "database" / "migrations"
STEPS = ("receive", "store", "queue", "work", "deliver")
CREATE = re.compile(r"CREATE TABLE (\w+)")
TABLES = sorted({name for path in MIGRATIONS.rglob("*.py") for name in CREATE.findall(path.read_text())})
STATEMENT = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?(?:{'|'.join(TABLES)})\b")
OUTSIDE = sorted(path for path in AISHA.rglob("*.py") if AISHA / "database" not in path.parents)


def strings(path: Path) -> Iterator[str]:
    """The strings of a file, those of f-strings among them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def of_package(modules: set[str], *packages: str) -> list[str]:
    folders = tuple(f"aisha.{package}." for package in packages)
    return [name for name in sorted(modules) if f"{name}.".startswith(folders)]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_imports_no_other_step(step: str) -> None:
    others = [each for each in STEPS if each != step]
    found = {path.name: of_package(own_imports(path), *others) for path in (AISHA / step).rglob("*.py")}
    assert found
    assert not {name: modules for name, modules in found.items() if modules}


def test_the_rooms_import_no_step() -> None:
    assert not [
        name for path in (AISHA / "database").rglob("*.py") for name in of_package(own_imports(path), *STEPS)
    ]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(AISHA)))
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
