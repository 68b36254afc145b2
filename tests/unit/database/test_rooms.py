"""What the rooms' types say is what the schema says."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

from aisha.database import erasures, inbox, jobs, messages, outbox
from aisha.outcomes import Outcome

ROOMS = Path(messages.__file__).parent
MIGRATIONS = "".join(path.read_text() for path in sorted((ROOMS / "migrations" / "versions").glob("*.py")))
STATES = {*get_args(messages.State), *get_args(jobs.State)}
COMPARED = re.compile(r"\b({})\s*(?:=|<>|IN|NOT IN)\s*('\w+'|\([^)]*\))")
WORD = re.compile(r"'(\w+)'")


def table(name: str) -> str:
    """The definition of a table."""
    found = re.search(rf"CREATE TABLE {name} \((.*?)\n\);", MIGRATIONS, re.DOTALL)
    assert found
    changes = re.findall(rf"ALTER TABLE {name}\s+(ADD COLUMN[^;]*);", MIGRATIONS)
    added = [column for change in changes for column in re.findall(r"ADD COLUMN ([^,]*)", change)]
    return "\n    ".join([found[1], *added])


def allowed(name: str, column: str) -> list[str]:
    """What a column's CHECK allows."""
    found = re.search(rf"\b{column} IN\s*\((.*?)\)", table(name), re.DOTALL)
    assert found
    return WORD.findall(found[1])


@pytest.mark.parametrize(
    ("name", "column", "kind"),
    [("messages", "state", messages.State), ("jobs", "state", jobs.State), ("jobs", "lane", jobs.Lane)],
)
def test_the_schema_allows_what_the_type_names(name: str, column: str, kind: Any) -> None:
    assert allowed(name, column) == [*get_args(kind)]


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("messages", messages.Message),
        ("jobs", jobs.Job),
        ("outbox", outbox.Outgoing),
        ("erasures", erasures.Erasure),
    ],
)
def test_a_whole_row_has_every_column(name: str, row: type) -> None:
    columns = re.findall(r"^ +([a-z_]+)\b", table(name), re.MULTILINE)
    assert [field.name for field in fields(row)] == columns


@pytest.mark.parametrize("path", sorted(ROOMS.glob("*.py")), ids=lambda path: path.name)
@pytest.mark.parametrize(("column", "known"), [("state", STATES), ("outcome", {*get_args(Outcome)})])
def test_a_statement_names_only_states_and_outcomes_that_there_are(
    path: Path, column: str, known: set[str]
) -> None:
    compared = re.findall(COMPARED.pattern.format(column), path.read_text())
    assert {word for _, values in compared for word in WORD.findall(values)} <= known


def test_stages_are_woken_by_what_makes_them_go_on() -> None:
    assert messages.refuse(1, "gone", "").wakes == ("answer",)
    assert messages.transcribed(1, "speech").wakes == ("answer",)
    assert messages.fetch_again(1, "").wakes == ("store",)
    assert messages.answered(1).wakes == ("send",)
    assert jobs.add(1, 1, "short", None, "key").wakes == ("dispatch",)
    assert jobs.done(1).wakes == ("dispatch",)
    assert jobs.given_back(1, "").wakes == ("dispatch",)


def test_an_update_waits_for_no_stage() -> None:
    """Its status message is held back for a moment by the handler, so writing it wakes nobody."""
    assert inbox.add(1, {}, None, None).wakes == ()
    assert outbox.write_status(1, 1, 1, "").wakes == ()
