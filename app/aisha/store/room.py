"""Whether object storage has room for another recording; without it, recordings wait at Telegram."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aisha.database import messages
from aisha.database.connect import Connection
from aisha.objects import NoRoomError
from aisha.settings import Settings


class Room:
    """Compares what is stored, and what this bot is storing, with the operator's limits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._arriving = 0

    @asynccontextmanager
    async def for_bytes(self, connection: Connection, size: int) -> AsyncIterator[None]:
        """Hold room for so many bytes while they are being stored.

        Raises:
            NoRoomError: there is none now; names the setting.
        """
        unfinished = await connection.only(messages.unfinished_bytes())
        self._check(size + self._arriving, unfinished)
        self._arriving += size
        try:
            yield
        finally:
            self._arriving -= size

    def _check(self, size: int, unfinished: int) -> None:
        folder, least, limit = (
            self._settings.objects_dir,
            self._settings.min_free_bytes,
            self._settings.stored_bytes,
        )
        if unfinished + size > limit:
            raise NoRoomError(
                f"unfinished recordings have {unfinished} of {limit} bytes (AISHA_STORED_BYTES)"
            )
        if folder and shutil.disk_usage(folder).free - size < least:
            raise NoRoomError(f"less than {least} bytes free in {folder} (AISHA_MIN_FREE_BYTES)")
