"""Keeps the status messages true: the place in the queue while a recording waits, the progress while it is long."""

from typing import Any

from aisha import texts
from aisha.database.connect import Connection, Pool, notify

# Only recordings that have waited for a while, one edit a chat at a time and thirty in all: Telegram allows about one
# a second in a chat and thirty over all, and answers go first.
OPEN = """
    SELECT * FROM (SELECT DISTINCT ON (m.chat_id) m.id, m.interface, m.state, m.segments, outbox.text,
        outbox.shown_at, waiting.ahead,
        (SELECT count(*) FROM jobs WHERE jobs.message = m.id AND segment IS NOT NULL AND state = 'done') AS decoded
    FROM messages AS m JOIN outbox ON outbox.message = m.id AND outbox.part = 0
        LEFT JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS ahead FROM messages
                   WHERE state IN ('received', 'stored')) AS waiting ON waiting.id = m.id
    WHERE m.state IN ('received', 'stored', 'transcribing') AND m.received_at < now() - interval '5 seconds'
        AND outbox.shown = outbox.version AND NOT outbox.final AND outbox.shown_at < now() - interval '3 seconds'
    ORDER BY m.chat_id, outbox.shown_at) AS firsts
    ORDER BY shown_at LIMIT 30
"""
CHANGE = """
    UPDATE outbox SET text = %s, version = version + 1
    WHERE message = %s AND part = 0 AND NOT final AND text <> %s RETURNING id
"""


async def refresh_statuses(pool: Pool) -> None:
    """Write the present status of waiting recordings to the outbox, where it has changed."""
    async with pool.connection() as connection:
        for row in await (await connection.execute(OPEN)).fetchall():
            await _refresh(connection, row)


async def _refresh(connection: Connection, row: dict[str, Any]) -> None:
    text = status(row)
    if text == row["text"]:
        await connection.execute(
            "UPDATE outbox SET shown_at = now() WHERE message = %s AND part = 0", [row["id"]]
        )
        return
    await connection.execute(CHANGE, [text, row["id"], text])
    await notify(connection, "send")


def status(row: dict[str, Any]) -> str:
    """Return what the status message of a recording should say now."""
    if row["state"] != "transcribing":
        return before(row["ahead"], row["interface"])
    if row["segments"]:
        percent = 100 * row["decoded"] // row["segments"]
        return texts.say("progress", row["interface"], percent=percent)
    return texts.say("working", row["interface"])


def before(ahead: int, interface: str) -> str:
    """Return the status of a recording whose decoding has not begun, with so many others before it."""
    return texts.say("waiting", interface, ahead=ahead) if ahead else texts.say("working", interface)
