"""Checks in the database that each posted update is there once, handled, and answered once where it should be."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg
from tests.bench.roll.updates import is_answered

LOOK_SECONDS = 1.0

KNOWN = """
    SELECT inbox.update_id, (handled_at IS NOT NULL AND error IS NULL)::integer, coalesce(answers, 0)
    FROM inbox LEFT JOIN (
        SELECT chat_id, count(*) AS answers FROM outbox WHERE chat_id BETWEEN {0} AND {1} GROUP BY chat_id
    ) AS answered ON answered.chat_id = inbox.update_id
    WHERE inbox.update_id BETWEEN {0} AND {1}
"""

Row = tuple[int, int, int]
Ask = Callable[[str], Iterable[Row]]
"""Runs a query and returns its rows, of integers."""


@dataclass(frozen=True)
class Committed:
    """Ids of updates with which something is wrong."""

    lost: list[int]
    """Not in the inbox."""

    doubled: list[int]
    """In the inbox twice, or answered twice."""

    unhandled: list[int]
    """In the inbox, but not handled, or not answered although that was due."""


def committed(ask: Ask, update_ids: Iterable[int], seconds: float) -> Committed:
    """Check that each update was committed and handled once; the bots have so many seconds to handle the last."""
    posted, until = sorted(update_ids), time.monotonic() + seconds
    query = KNOWN.format(posted[0], posted[-1])
    while True:
        found = _compare(posted, ask(query))
        if not found.unhandled or time.monotonic() > until:
            return found
        time.sleep(LOOK_SECONDS)


def _compare(posted: list[int], rows: Iterable[Row]) -> Committed:
    found: dict[int, list[tuple[int, int]]] = {}
    for update_id, handled, answers in rows:
        found.setdefault(update_id, []).append((handled, answers))
    lost = [each for each in posted if each not in found]
    doubled = [each for each, known in found.items() if len(known) > 1 or known[0][1] > 1]
    unhandled = [
        each
        for each, known in found.items()
        if not all(handled and (answers or not is_answered(each)) for handled, answers in known)
    ]
    return Committed(lost, doubled, unhandled)


def database(url: str) -> Ask:
    """Return a function that asks the database at an address."""

    def ask(query: str) -> list[Row]:
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    return ask
