"""How updates are to come: the mode that `aisha webhook sync` has recorded, perhaps another than this process's."""

import structlog

from aisha.database.connect import Connection
from aisha.settings import Mode

log = structlog.get_logger(__name__)

WEBHOOK_LOCK = "webhook"
"""The lock of whoever sets or removes Telegram's webhook."""

RECORDED = "SELECT mode FROM receiving"


async def recorded(connection: Connection) -> Mode | None:
    """Return the mode that Telegram was told; None when nobody has told it any, as on a developer's machine."""
    row = await (await connection.execute(RECORDED)).fetchone()
    return row["mode"] if row else None


class Agreement:
    """Whether this process's mode is the recorded one; says so in the log when that changes."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._agreed = True

    async def reached(self, connection: Connection) -> bool:
        """Look once."""
        found = await recorded(connection)
        agreed = found in (None, self._mode)
        if agreed != self._agreed:
            self._agreed = agreed
            event = (
                "the recorded mode is this bot's" if agreed else "the recorded mode is another, not receiving"
            )
            log.warning(event, recorded=found, own=self._mode)
        return agreed

    async def to_poll(self, connection: Connection) -> bool:
        """Return whether this process may poll."""
        return self._mode == "polling" and await self.reached(connection)
