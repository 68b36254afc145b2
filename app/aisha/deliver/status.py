"""Keeps the status messages true: the place in the queue of a waiting recording, the progress of a long one."""

from aisha import texts
from aisha.database import outbox
from aisha.database.connect import Connection, Pool
from aisha.database.outbox import Status


async def refresh_statuses(pool: Pool) -> None:
    """Write the current status of waiting recordings to the outbox, where it has changed."""
    async with pool.connection() as connection:
        for row in await connection.all(outbox.stale_statuses()):
            await _refresh(connection, row)


async def _refresh(connection: Connection, row: Status) -> None:
    text = status(row)
    if text == row.text:
        await connection.run(outbox.keep_status(row.id))
    else:
        await connection.run(outbox.change_status(row.id, text))


def status(row: Status) -> str:
    """Return what the status message of a recording should say now."""
    if row.state == "received" and row.no_room:
        return texts.say("no_room", row.interface)
    if row.state != "transcribing":
        return texts.waiting(row.ahead or 0, row.interface)
    if row.segments:
        percent = 100 * row.decoded // row.segments
        return texts.say("progress", row.interface, percent=percent)
    return texts.say("working", row.interface)
