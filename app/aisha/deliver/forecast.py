"""Forecasts when each open recording will be done, by playing through the order in which the workers take the jobs."""

import heapq
import itertools
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace

from aisha.database.jobs import Lane, Open

SHORTEST, LONGEST = 30.0, 300.0
"""Length of the segments that a long recording will be cut into, in seconds."""

USUAL_PACE = 0.15
"""Seconds that a worker takes for a second of audio, until it has been measured."""


Server = tuple[float, int, bool, Open | None]
"""When a worker is free, its number, whether it serves long recordings too, and what it does until then."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many jobs are done at once in all lanes, and how many more in the short one; how many Redis holds of a lane.

    `pace` is measured for each lane, in seconds for a second of audio.
    """

    shared: int
    short_only: int
    depth: int
    pace: dict[Lane, float]

    def seconds_for(self, job: Open) -> float:
        """Return how long a job still takes; one that is overdue takes a little longer yet."""
        return max(self.pace_of(job.lane) * job.seconds - job.elapsed, job.elapsed / 10)

    def pace_of(self, lane: Lane) -> float:
        """Return the seconds that a worker takes for a second of audio; another lane's pace if this has none yet."""
        return self.pace.get(lane) or next(iter(self.pace.values()), USUAL_PACE)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many waiting recordings begin before this one; when it begins and ends, in seconds from now."""

    ahead: int
    begins: float
    ends: float


class Turns:
    """The jobs of one lane in the order of `jobs.take`: those in Redis, which is filled from each user in turn."""

    def __init__(self, rows: list[Open], workers: Workers) -> None:
        self._depth = workers.depth
        self._redis = deque[Open]()
        self._waiting: defaultdict[int, deque[Open]] = defaultdict(deque)
        self._active: Counter[int] = Counter()
        self._since: dict[int, float] = {}
        self._candidates: list[tuple[int, float, int, int]] = []
        for row in rows:
            self._add(row, _pieces(row, workers))
        for user in self._waiting:
            self._stand(user)
        self._fill(0.0)

    def _add(self, row: Open, pieces: list[Open]) -> None:
        if row.state in ("started", "queued"):
            self._active[row.user_id] += 1
        if row.state == "queued":
            self._redis.append(pieces.pop(0))
        if row.state != "started" or row.uncut:
            self._waiting[row.user_id].extend(pieces)
        if row.state in ("waiting", "received"):
            self._since.setdefault(row.user_id, -row.since)

    def _stand(self, user: int) -> None:
        """Enter a user's next job among the candidates; what was entered for the user before is void."""
        if jobs := self._waiting[user]:
            since = self._since.setdefault(user, 0.0)
            heapq.heappush(self._candidates, (self._active[user], since, jobs[0].message, user))

    def next(self, now: float) -> Open | None:
        """Return the next job for a worker, if there is one."""
        job = self._redis.popleft() if self._redis else None
        self._fill(now)
        return job

    def _fill(self, now: float) -> None:
        while len(self._redis) < self._depth and self._candidates:
            active, since, message, user = heapq.heappop(self._candidates)
            jobs = self._waiting[user]
            if jobs and (active, since, message) == (self._active[user], self._since[user], jobs[0].message):
                self._redis.append(jobs.popleft())
                self._active[user] += 1
                self._since[user] = now
                self._stand(user)

    def done(self, job: Open) -> None:
        """Let the job's user have another turn."""
        self._active[job.user_id] -= 1
        self._stand(job.user_id)


def forecast(rows: list[Open], workers: Workers) -> dict[int, Outlook]:
    """Return the outlook of each message, from all open jobs in the order of the queue; nothing without a worker.

    Short jobs go first, nothing is interrupted, and nobody comes later: so it errs towards too early.
    """
    if not workers.shared:
        return {}
    lanes = {lane: Turns([row for row in rows if row.lane == lane], workers) for lane in ("short", "long")}
    running = [row for row in rows if row.state == "started"]
    begins = dict.fromkeys((row.message for row in running), 0.0)
    ends: dict[int, float] = {}
    servers, numbers = _servers(running, workers), itertools.count(workers.shared + workers.short_only)
    while servers:
        now, _, serves_long, ended = heapq.heappop(servers)
        if ended:
            ends[ended.message] = now
            lanes[ended.lane].done(ended)
        job = lanes["short"].next(now) or (lanes["long"].next(now) if serves_long else None)
        if job:
            begins.setdefault(job.message, now)
            heapq.heappush(servers, (now + workers.seconds_for(job), next(numbers), serves_long, job))
    return _outlooks(begins, ends, {row.message for row in running})


def _pieces(row: Open, workers: Workers) -> list[Open]:
    """Return a job, or a long recording that is not cut yet as the segments that it will become."""
    if not row.uncut:
        return [row]
    length = min(max(row.seconds / workers.shared, SHORTEST), LONGEST)
    count = max(round(row.seconds / length), 1)
    return [replace(row, seconds=row.seconds / count, elapsed=0.0, uncut=False)] * count


def _servers(running: list[Open], workers: Workers) -> list[Server]:
    """Return when each worker is free, with what runs given to those that it can run on."""
    short, long = ([row for row in running if row.lane == lane] for lane in ("short", "long"))
    alone, shared = short[: workers.short_only], long + short[workers.short_only :]
    given = [(row, False) for row in _filled(alone, workers.short_only)]
    given += [(row, True) for row in _filled(shared, workers.shared)]
    servers = [
        (workers.seconds_for(row) if row and not row.uncut else 0.0, number, serves_long, row)
        for number, (row, serves_long) in enumerate(given)
    ]
    heapq.heapify(servers)
    return servers


def _filled(rows: list[Open], count: int) -> list[Open | None]:
    return [*rows, *[None] * (count - len(rows))]


def _outlooks(begins: dict[int, float], ends: dict[int, float], running: set[int]) -> dict[int, Outlook]:
    order = sorted((message for message in begins if message not in running), key=lambda each: begins[each])
    ahead = dict.fromkeys(running, 0) | {message: place for place, message in enumerate(order)}
    return {message: Outlook(ahead[message], begins[message], ends[message]) for message in begins}
