"""Whether object storage has room for another recording; without it, recordings wait at Telegram."""

import shutil

from aisha.database import messages
from aisha.database.connect import Connection
from aisha.objects import NoRoomError
from aisha.settings import Settings


class Room:
    """Compares what is stored with the operator's limits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def check(self, connection: Connection, size: int) -> None:
        """Return if there is room for so many bytes.

        Raises:
            NoRoomError: there is none now; names the setting.
        """
        folder, least = self._settings.objects_dir, self._settings.min_free_bytes
        if folder and shutil.disk_usage(folder).free - size < least:
            raise NoRoomError(f"less than {least} bytes free in {folder} (AISHA_MIN_FREE_BYTES)")
        limit = self._settings.stored_bytes
        if await connection.only(messages.unfinished_bytes()) + size > limit:
            raise NoRoomError(f"unfinished recordings have {limit} bytes (AISHA_STORED_BYTES)")
