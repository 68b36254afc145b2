"""Which lane a recording takes, and how long RQ lets a job run."""

import pytest

from aisha.database.jobs import Dispatch
from aisha.lanes import SHORT_BYTES, lane_depth, lane_of, rq_id
from aisha.queue.dispatch import job_timeout


@pytest.mark.parametrize(
    ("seconds", "size", "lane"),
    [
        (1, 10**9, "short"),
        (60, 1, "short"),
        (61, 1, "long"),
        (None, SHORT_BYTES, "short"),
        (None, SHORT_BYTES + 1, "long"),
        (0, SHORT_BYTES + 1, "long"),
        (0, 0, "short"),
    ],
)
def test_a_lane_follows_the_declared_length_or_else_the_size(
    seconds: float | None, size: int, lane: str
) -> None:
    assert lane_of(seconds, size) == lane


def test_a_job_may_take_far_longer_than_its_audio() -> None:
    assert job_timeout(10) >= 300
    assert job_timeout(14_400) >= 28_800
    assert job_timeout(None) >= 28_800


def test_each_dispatch_of_a_job_has_an_id_of_its_own() -> None:
    first, second = (Dispatch(5, dispatches, None, "short", 1) for dispatches in (1, 2))
    assert rq_id(first.id, first.dispatches) != rq_id(second.id, second.dispatches)


@pytest.mark.parametrize(("capacity", "depth"), [(0, 4), (2, 4), (3, 6)])
def test_a_lane_holds_twice_what_the_workers_do_at_once(capacity: int, depth: int) -> None:
    assert lane_depth(capacity) == depth
