"""Recognising speech needs no service, and only the engine's own module knows which engine it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parents[3] / "app"
SERVICES = {
    *("psycopg", "psycopg_pool", "sqlalchemy", "alembic", "redis", "rq", "minio", "aiogram", "aiohttp"),
    *(
        f"aisha.{name}"
        for name in ("database", "lanes", "objects", "receive", "store", "queue", "work", "deliver")
    ),
    *("aisha_embedded", "aisha_sandbox"),
}
SPEECH = sorted((APP / "aisha" / "speech").rglob("*.py"))
ENGINES = [APP / "aisha" / "speech" / "vosk.py"]
NAMING_ENGINES = [APP / "aisha" / "speech" / "engine.py", APP / "aisha" / "models" / "catalogue.py"]
"""Where one is chosen, and what the vendor calls its models."""


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at any depth; `from a import b` may mean the module `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def source(module: str) -> Path | None:
    """Return the file of a module of ours."""
    path = APP.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def reached(path: Path) -> dict[str, str]:
    """Return what a file imports, directly or by way of others of ours, each with who imports it."""
    found: dict[str, str] = {}
    waiting = [path]
    while waiting:
        importer = waiting.pop()
        for module in imports(importer):
            if module not in found:
                found[module] = str(importer.relative_to(APP))
                waiting += filter(None, [source(module)])
    return found


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.stem)
def test_a_module_of_speech_reaches_nothing_that_needs_a_service(path: Path) -> None:
    found = reached(path)
    wrong = [name for name in found if any(f"{name}.".startswith(f"{service}.") for service in SERVICES)]
    assert {name: found[name] for name in wrong} == {}


def test_an_import_by_way_of_others_is_found() -> None:
    assert {"psycopg", "minio"} <= reached(APP / "aisha" / "work" / "jobs.py").keys()


def test_nothing_but_an_engines_own_module_says_its_name() -> None:
    apart = {*ENGINES, *NAMING_ENGINES}
    saying = [
        path.relative_to(APP)
        for path in sorted(APP.rglob("*.py"))
        if path not in apart and re.search("vosk|kaldi", path.read_text(), re.IGNORECASE)
    ]
    assert saying == []
