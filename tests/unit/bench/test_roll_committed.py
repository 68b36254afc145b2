"""The benchmark's verdict on posted updates, given the rows in a database."""

from collections.abc import Iterable

import pytest
from tests.bench.roll.committed import Committed, Row, committed
from tests.bench.roll.updates import ANSWERED_EVERY

ANSWERED = 10 * ANSWERED_EVERY
POSTED = range(ANSWERED, ANSWERED + 4)
WELL = [(ANSWERED, 1, 1), *((each, 1, 0) for each in POSTED[1:])]


def looked(rows: Iterable[Row]) -> Committed:
    return committed(lambda _: rows, POSTED, seconds=0)


def test_nothing_is_wrong_where_each_update_is_there_once_and_handled() -> None:
    assert looked(WELL) == Committed([], [], [])


def test_an_update_that_is_not_in_the_inbox_is_lost() -> None:
    assert looked(WELL[:-1]).lost == [POSTED[-1]]


@pytest.mark.parametrize("second", [WELL[0], (ANSWERED, 1, 2)], ids=["in the inbox", "answered"])
def test_an_update_that_is_there_twice_is_doubled(second: Row) -> None:
    rows = [second, *WELL] if second == WELL[0] else [second, *WELL[1:]]
    assert looked(rows) == Committed([], [ANSWERED], [])


@pytest.mark.parametrize("row", [(ANSWERED, 0, 0), (ANSWERED, 1, 0)], ids=["not handled", "not answered"])
def test_an_update_that_nothing_follows_from_is_unhandled(row: Row) -> None:
    assert looked([row, *WELL[1:]]) == Committed([], [], [ANSWERED])


def test_bots_have_time_to_handle_the_last() -> None:
    answers = iter([[(ANSWERED, 0, 0), *WELL[1:]], WELL])
    assert committed(lambda _: next(answers), POSTED, seconds=60) == Committed([], [], [])
