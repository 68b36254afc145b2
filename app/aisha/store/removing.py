"""Removes recordings that nobody needs any more: a day after their answer, or sooner when room is short."""

import structlog

from aisha.database import messages
from aisha.database.connect import Pool
from aisha.objects import Objects
from aisha.settings import Settings
from aisha.threads import Threads

log = structlog.get_logger(__name__)

KEPT_HOURS = 24
BATCH = 100


class Remover:
    """Removes the objects of messages that have ended.

    1. The messages that ended a day ago are chosen, oldest first; all that have ended if stored bytes exceed the limit.
    2. Their recordings and left segments are removed, unless an unfinished message has the same recording.
    3. Only then is that recorded: after a crash in between it is repeated, and an object that is gone is no error.
    """

    def __init__(self, pool: Pool, objects: Objects, settings: Settings) -> None:
        self._pool = pool
        self._objects = objects
        self._limit = settings.stored_bytes
        self._threads = Threads("remove")

    async def step(self) -> None:
        """Remove all that can be removed."""
        while await self._remove_some():
            pass

    async def _remove_some(self) -> bool:
        async with self._pool.connection() as connection:
            full = await connection.only(messages.stored_bytes()) > self._limit
            ended = await connection.all(messages.removable(0 if full else KEPT_HOURS, BATCH))
        if not ended:
            return False
        await self._threads.run(self._remove, ended)
        async with self._pool.connection() as connection:
            await connection.run(messages.objects_removed(ended))
        log.info("recordings removed", count=len(ended))
        return True

    def _remove(self, ended: list[messages.Removable]) -> None:
        for one in ended:
            if not one.shared:
                self._objects.remove(one.object_key)
            if one.was_cut:
                self._objects.remove_below(f"segments/{one.id}/")
