"""How updates are received: the mode that `aisha webhook sync` has recorded, which may differ from this process's."""

import structlog

from aisha.database import receiving
from aisha.database.connect import Connection
from aisha.settings import Mode

log = structlog.get_logger(__name__)


class Agreement:
    """Whether this process's mode is the recorded one; logs it when that changes."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode
        self._agreed = True

    async def reached(self, connection: Connection) -> bool:
        """Compare once."""
        found = await connection.one(receiving.mode())
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
