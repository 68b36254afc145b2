"""What a release may do to a schema that another release is using."""

import re

import pytest

from aisha.database import migrate
from aisha.database.migrate import Step, pending, steps
from aisha.errors import ServiceError, SettingsError

EXPANDING = [Step("0001", "expand", reversible=False), Step("0002", "expand", reversible=True)]
CONTRACTING = [*EXPANDING, Step("0003", "contract", reversible=False)]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database at 0001 that must not be touched."""
    monkeypatch.setattr(migrate, "current", lambda _: "0001")
    monkeypatch.setattr(migrate, "_run", lambda *_, **__: pytest.fail("it ran"))


def test_every_migration_declares_its_phase_and_they_are_in_order() -> None:
    assert [step.revision for step in steps()] == [f"{n:04}" for n in range(1, len(steps()) + 1)]
    assert {step.phase for step in steps()} <= {"expand", "contract"}


def test_a_database_of_a_newer_release_lacks_nothing() -> None:
    assert pending("9999") == []
    assert pending(None) == steps()


@pytest.mark.parametrize(
    ("all_steps", "at_revision", "status", "words"),
    [
        (EXPANDING, "0002", 0, "nothing pending"),
        (EXPANDING, "0001", 10, r"0002 \(expand\); the running release goes on"),
        (CONTRACTING, "0001", 11, r"0003 \(contract\); the running release would break"),
    ],
)
def test_the_check_tells_whether_the_running_release_survives(
    all_steps: list[Step], at_revision: str, status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "steps", lambda: all_steps)
    monkeypatch.setattr(migrate, "current", lambda _: at_revision)
    found, said = migrate.describe("postgresql://any")
    assert found == status
    assert re.search(words, said)


@pytest.mark.usefixtures("at")
def test_a_contracting_step_is_refused_where_only_expanding_ones_may_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrate, "steps", lambda: CONTRACTING)
    with pytest.raises(ServiceError, match="0003 would break the release that runs"):
        migrate.migrate("postgresql://any", expand_only=True)


@pytest.mark.usefixtures("at")
def test_an_unknown_revision_is_named_with_those_that_exist() -> None:
    with pytest.raises(SettingsError, match="no revision 0815; there are 0001"):
        migrate.migrate_to("postgresql://any", "0815")


def test_there_is_no_way_back_over_a_migration_that_cannot_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "steps", lambda: CONTRACTING)
    monkeypatch.setattr(migrate, "current", lambda _: "0003")
    with pytest.raises(ServiceError, match="no way back before 0003"):
        migrate.migrate_to("postgresql://any", "0001")
