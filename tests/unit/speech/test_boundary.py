"""Recognising speech needs no service, and only the engine's own module knows which engine it is."""

import re
from pathlib import Path

import pytest
from tests.imports import APP, MODULES, imports

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


def reached(path: Path) -> dict[str, str]:
    """Return what a file imports, directly or by way of others of ours, each with who imports it."""
    found: dict[str, str] = {}
    waiting = [path]
    while waiting:
        importer = waiting.pop()
        for module in imports(importer):
            if module not in found:
                found[module] = str(importer.relative_to(APP))
                waiting += [MODULES[module]] if module in MODULES else []
    return found


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: path.stem)
def test_a_module_of_speech_reaches_nothing_that_needs_a_service(path: Path) -> None:
    found = reached(path)
    wrong = [name for name in found if any(f"{name}.".startswith(f"{service}.") for service in SERVICES)]
    assert {name: found[name] for name in wrong} == {}


def test_nothing_parses_media_but_the_child_and_what_reads_an_operators_own_files() -> None:
    parsing = {f"aisha.speech.audio.{name}" for name in ("Blocks", "blocks", "probe")}
    importing = {module for module, path in MODULES.items() if parsing & set(imports(path))}
    assert importing == {"aisha.speech.media.child", "aisha.speech.media.server", "aisha.speech.warm_up"}


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
