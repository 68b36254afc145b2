"""Keeps the status messages true: whose turn it is, how much is done, and how long the rest takes.

Of the recordings that one person has in a lane, only the first that waits tells its place, and only while none is being
transcribed; the others say that they come after it. So one status moves, and its number only falls.
"""

from dataclasses import dataclass

from aisha import texts
from aisha.database import jobs, outbox, workers
from aisha.database.connect import Connection, Pool
from aisha.database.jobs import Lane, Open
from aisha.database.outbox import Status
from aisha.deliver.forecast import Outlook, Workers, forecast
from aisha.lanes import SHORT_BYTES, SHORT_SECONDS, lane_depth

MOST = 30
"""How many statuses are changed at a time: Telegram takes about thirty edits a second, and answers go first."""

NOT_YET = 0.95
"""How much of a segment may be told as recognised while it is being recognised."""


@dataclass(frozen=True, slots=True)
class Queue:
    """What is expected of the open recordings, and which of them are the next of their senders."""

    workers: Workers
    outlooks: dict[int, Outlook]
    firsts: set[int]


class Statuses:
    """Refreshes the status messages; what it has told of a recording never goes back.

    1. All open jobs are read, and a forecast is made of them.
    2. Each status message that may change gets its text.
    3. One change in each chat is written, those that tell figures first, then those that have waited longest.
    """

    def __init__(self) -> None:
        self._ahead: dict[int, int] = {}
        self._percent: dict[int, int] = {}

    async def refresh(self, pool: Pool) -> None:
        """Write the status of waiting recordings to the outbox, where it has changed."""
        async with pool.connection() as connection:
            rows = await connection.all(outbox.stale_statuses())
            if not rows:
                return
            queue = await _read_queue(connection)
            self._forget({row.id for row in rows})
            for row, text in changes([(row, self.text(row, queue)) for row in rows]):
                await connection.run(outbox.change_status(row.id, text))

    def text(self, row: Status, queue: Queue) -> str:
        """Return what the status message of a recording should say now."""
        if row.state == "received" and row.no_room:
            return texts.say("no_room", row.interface)
        outlook = queue.outlooks.get(row.id)
        if row.state == "transcribing":
            return self._progress(row, queue, outlook)
        if not outlook:
            return texts.say("queued", row.interface)
        if row.id not in queue.firsts:
            return texts.say("behind", row.interface)
        ahead = min(self._ahead.get(row.id, outlook.ahead), outlook.ahead)
        self._ahead[row.id] = ahead
        return texts.waiting(ahead, outlook.ends, row.interface)

    def _progress(self, row: Status, queue: Queue, outlook: Outlook | None) -> str:
        decoded = row.decoded + sum(_decoded(queue.workers, *each) for each in row.running)
        if not decoded and not (row.seconds and outlook):
            return texts.say("working", row.interface)
        if not row.seconds or not outlook:
            return texts.say("so_far", row.interface, duration=texts.duration(decoded, row.interface))
        percent = min(int(100 * decoded / row.seconds), 99)
        percent = max(self._percent.get(row.id, 0), percent)
        self._percent[row.id] = percent
        left = texts.left(outlook.ends, row.interface)
        return texts.say("progress", row.interface, percent=percent, left=left)

    def _forget(self, still_open: set[int]) -> None:
        for told in (self._ahead, self._percent):
            for message in told.keys() - still_open:
                del told[message]


async def _read_queue(connection: Connection) -> Queue:
    rows = await connection.all(jobs.open_in_order(SHORT_BYTES, SHORT_SECONDS))
    alive = [each for each in await connection.all(workers.known()) if each["alive"]]
    shared = sum(each["concurrency"] for each in alive)
    pace = dict(await connection.all(jobs.pace()))
    capacity = Workers(shared, len(alive), lane_depth(shared), pace)
    outlooks = forecast(rows, capacity)
    return Queue(capacity, outlooks, firsts(rows, outlooks))


def firsts(rows: list[Open], outlooks: dict[int, Outlook]) -> set[int]:
    """Return the waiting recordings that are the next of their senders in a lane, where none of theirs runs."""
    found: dict[tuple[int, str], Open] = {}
    for row in rows:
        place = row.user_id, row.lane
        if row.message in outlooks and (
            place not in found or _turn(row, outlooks) < _turn(found[place], outlooks)
        ):
            found[place] = row
    return {row.message for row in found.values() if row.state != "started"}


def _turn(row: Open, outlooks: dict[int, Outlook]) -> tuple[bool, float, int]:
    return row.state != "started", outlooks[row.message].begins, row.message


def _decoded(workers: Workers, seconds: float | None, elapsed: float, lane: Lane) -> float:
    """Return how much of a job is recognised by now, as far as the pace tells; never all of it."""
    return min(elapsed / workers.pace_of(lane), NOT_YET * seconds) if seconds else 0.0


def changes(wanted: list[tuple[Status, str]]) -> list[tuple[Status, str]]:
    """Return the changes to make now, one in each chat: Telegram takes about one a second there."""
    changed = [(row, text) for row, text in wanted if text != row.text]
    static = {texts.say("behind", reader) for reader in ("en", "ru")}
    changed.sort(key=lambda each: (each[1] in static, each[0].shown_at))
    first = {each[0].chat_id: each for each in reversed(changed)}
    return [each for each in changed if first[each[0].chat_id] is each][:MOST]
