"""A voice does not share the processor with lectures."""

import os

import pytest

from aisha.database.jobs import Lane
from aisha.work.jobs import LONG_NICENESS, give_way

LEAST = 19
"""The kernel's lowest priority."""


@pytest.mark.parametrize(("lane", "added"), [("short", 0), ("long", LONG_NICENESS)])
def test_long_work_gives_way_to_short_work(lane: Lane, added: int) -> None:
    child = os.fork()
    if not child:
        expected = min(os.nice(0) + added, LEAST)
        give_way(lane)
        os._exit(os.nice(0) != expected)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
