"""docs/sandbox.md tells of everything that tests may lean on."""

import re
from pathlib import Path

from aisha_sandbox import control
from aisha_sandbox.pages import FOLDER

DOCS = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()


def test_every_endpoint_of_the_control_api_is_documented() -> None:
    for route in control.routes():
        path = re.sub(r"\{[^}]+\}", r"[^/ `?]+", route.path.removeprefix("/sandbox/api"))  # type: ignore[attr-defined]
        assert re.search(rf"`?{route.method}[` ].*?{path}", DOCS), route  # type: ignore[attr-defined]


def test_every_test_id_of_the_web_chat_is_documented() -> None:
    used = {
        name for file in FOLDER.glob("*.js") for name in re.findall(r'testid: "([\w-]+)"', file.read_text())
    }
    assert {name for name in used if f"`{name}`" not in DOCS} == set()
