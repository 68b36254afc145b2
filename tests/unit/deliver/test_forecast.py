"""Whose turn it is, and how long it takes, as a status tells it."""

import random
import statistics
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aisha.database.jobs import Open
from aisha.deliver.forecast import Outlook, Workers, forecast
from aisha.deliver.status import firsts

ALONE = Workers(shared=1, short_only=0, depth=1, pace={"short": 0.5, "long": 0.1})


def job(message: int, person: str = "a", state: str = "waiting", lane: str = "short", **more: Any) -> Open:
    return Open(**{"message": message, "user_id": ord(person), "lane": lane, "state": state, "seconds": 10.0,
                   "elapsed": 0.0, "since": 100.0 - message, "uncut": False, **more})  # fmt: skip


def order(rows: list[Open], workers: Workers = ALONE) -> list[int]:
    """The messages in the order in which they are expected to begin."""
    found = forecast(rows, workers)
    return sorted(found, key=lambda message: (found[message].begins, found[message].ahead))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([job(1), job(2), job(3, "b")], [1, 3, 2]),
        ([job(1, state="started"), job(2), job(3, "b")], [1, 3, 2]),
        ([job(2, state="queued"), job(1, "b", "queued"), job(3, "c")], [2, 1, 3]),
        ([job(1, lane="long"), job(2, "b")], [2, 1]),
        ([job(1), job(2, "b", "received")], [1, 2]),
        ([job(1, lane="long", seconds=900.0, uncut=True), job(2, "b", lane="long"), job(3, "c", lane="long")],
         [1, 2, 3]),
    ],
)  # fmt: skip
def test_the_order_is_that_in_which_the_dispatcher_takes_turns(rows: list[Open], expected: list[int]) -> None:
    assert order(rows) == expected


def test_the_time_left_is_that_of_what_comes_before_and_of_the_recording_itself() -> None:
    rows = [job(1, state="started", elapsed=2.0), job(2, "b"), job(3, "c", seconds=4.0)]
    assert forecast(rows, ALONE) == {1: Outlook(0, 0, 3), 2: Outlook(0, 3, 8), 3: Outlook(1, 8, 10)}


def test_a_short_voice_does_not_wait_for_a_lecture_where_a_worker_serves_only_short_ones() -> None:
    workers = replace(ALONE, short_only=1)
    rows = [job(1, state="started", lane="long", seconds=300.0), job(2, "b"), job(3, "b")]
    found = forecast(rows, workers)
    assert (found[2].ends, found[3].ends, found[1].ends) == (5, 10, 30)


def test_a_lecture_ends_when_its_last_segment_does_on_all_workers() -> None:
    whole = job(1, state="started", lane="long", seconds=1200.0, uncut=True, elapsed=1.0)
    assert forecast([whole], replace(ALONE, shared=2))[1].ends == pytest.approx(60)


def test_nothing_is_foretold_without_a_worker() -> None:
    assert forecast([job(1)], replace(ALONE, shared=0)) == {}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([job(1), job(2), job(3, "b")], {1, 3}),
        ([job(1, state="started"), job(2), job(3, "b")], {3}),
        ([job(1, state="started", lane="long"), job(2)], {2}),
        ([job(5), job(4, state="queued")], {4}),
    ],
)
def test_one_recording_of_each_person_tells_its_place(rows: list[Open], expected: set[int]) -> None:
    assert firsts(rows, forecast(rows, ALONE)) == expected


@dataclass
class Bot:
    """The dispatcher's turns and the workers, doing jobs that each take a time of their own."""

    left: list[Open]
    cost: dict[int, float]
    workers: Workers
    now: float = 0.0
    since: dict[int, float] = field(default_factory=dict)
    redis: list[Open] = field(default_factory=list)
    running: dict[int, float] = field(default_factory=dict)

    def step(self) -> int:
        """Give the workers what they can take, go on to the end of a job, and return its message."""
        self.fill()
        ended = min(self.running, key=lambda message: self.running[message] + self.cost[message])
        self.now = self.running.pop(ended) + self.cost[ended]
        self.left = [each for each in self.left if each.message != ended]
        return ended

    def fill(self) -> None:
        """Take turns as `jobs.take` does, and start what is first in Redis."""
        while True:
            if self.redis and len(self.running) < self.workers.shared:
                self.running[self.redis.pop(0).message] = self.now
            active = [each for each in self.left if each.message in self.running or each in self.redis]
            waiting = [each for each in self.left if each not in active]
            if not waiting or len(self.redis) >= self.workers.depth:
                break
            taken = min(waiting, key=lambda each: self._turn(each, active, waiting))
            self.redis.append(taken)
            self.since[taken.user_id] = self.now
        if self.redis and len(self.running) < self.workers.shared:
            self.fill()

    def _turn(self, job: Open, active: list[Open], waiting: list[Open]) -> tuple[int, float, int]:
        before = [*active, *(each for each in waiting if each.message < job.message)]
        turn = sum(each.user_id == job.user_id for each in before)
        return turn, self.since.get(job.user_id, job.message / 1000 - 1), job.message

    def rows(self) -> list[Open]:
        """The open jobs as the database has them."""
        running = [replace(each, state="started", elapsed=self.now - self.running[each.message])
                   for each in self.left if each.message in self.running]  # fmt: skip
        queued = [replace(each, state="queued") for each in self.redis]
        waiting = [replace(each, since=self.now - self.since.get(each.user_id, each.message / 1000 - 1))
                   for each in self.left if each.message not in self.running and each not in self.redis]  # fmt: skip
        return [*running, *queued, *waiting]


def test_most_times_left_are_within_thirty_per_cent() -> None:
    """Thirty people with a few voices each, whose jobs take a quarter more or less than the pace says."""
    dice, errors = random.Random(7), []
    for _ in range(4):
        rows = [job(n, chr(dice.choice(range(97, 127))), seconds=dice.uniform(2, 60)) for n in range(120)]
        cost = {row.message: row.seconds * 0.1 * dice.lognormvariate(0, 0.25) for row in rows}
        bot = Bot(rows, cost, Workers(3, 0, 6, {"short": 0.1}))
        told: dict[int, list[tuple[float, float]]] = {row.message: [] for row in rows}
        while bot.left:
            bot.fill()
            for message, outlook in forecast(bot.rows(), bot.workers).items():
                told[message].append((bot.now, outlook.ends))
            ended = bot.step()
            waits = [(bot.now - at, ends) for at, ends in told[ended]]
            errors += [abs(ends - waited) / waited for waited, ends in waits if waited > 1]
    assert statistics.quantiles(errors, n=10)[7] < 0.3


def test_a_place_only_falls_while_newcomers_come() -> None:
    dice = random.Random(3)
    rows = [job(n, dice.choice("abcdefgh"), seconds=dice.uniform(2, 20)) for n in range(40)]
    bot = Bot(rows, defaultdict(lambda: 1.0), replace(ALONE, shared=2, depth=4))
    places: dict[int, list[int]] = {}
    for newcomer in range(100, 160):
        bot.fill()
        found = forecast(bot.rows(), bot.workers)
        for message in firsts(bot.rows(), found) & {row.message for row in rows}:
            places.setdefault(message, []).append(found[message].ahead)
        bot.step()
        bot.left.append(job(newcomer, chr(newcomer + 100)))
        bot.since[newcomer + 100] = bot.now
    assert any(len(set(told)) > 2 for told in places.values())
    assert all(told == sorted(told, reverse=True) for told in places.values())
