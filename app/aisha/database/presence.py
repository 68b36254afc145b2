"""Which bots are alive, and how a silent one is fenced.

A process that is stopped (SIGSTOP, a paused machine) keeps its connections and with them its locks, and once it resumes
it would write and send what another bot has done meanwhile. So each bot renews a row, and the others fence one that
does not.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn, Self

import psycopg
import structlog

from aisha.database import bots, leases
from aisha.database.connect import Connection, Wakeups, connect_async
from aisha.database.leases import Lease

log = structlog.get_logger(__name__)

MARGIN_SECONDS = 1
BEAT_SECONDS = 1
ABSENT_SECONDS = 2
FENCED_STATUS = 75
"""Exit status of a fenced process: EX_TEMPFAIL of sysexits.h, which asks for a restart."""


class LapsedError(Exception):
    """The process has not renewed its row in time, so it may not act until it has."""


class Presence:
    """One process among the bots.

    1. It joins: it adds a row to `bots`, and each of its sessions carries that row's id as application_name.
    2. Every second it renews its row and its leases. It may act outside the database only while the row is fresh, by a
       clock that also runs while the process is stopped, and for a second less than the others wait.
    3. It fences bots whose row has lapsed, or that have had no session for two seconds: it removes their rows, then
       ends their sessions, which frees their locks, including those on their leases. Only then does it free the leases.
       A new session of a fenced bot is not admitted.
    4. If its own row is gone, it exits at once: another bot may have done whatever it has in memory.
    5. It leaves: it removes its row, so that nobody has to wait for it to lapse.
    """

    def __init__(self, url: str, mode: str, wakeups: Wakeups) -> None:
        self.id = f"{bots.PREFIX}{socket.gethostname()[:24]}/{os.getpid()}/{secrets.token_hex(4)}"
        self.leases: list[Lease] = []
        self._url = url
        self._mode = mode
        self._wakeups = wakeups
        self._valid_until = 0.0
        self._absent_since: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        asked = boottime()
        async with await connect_async(self._url) as connection:
            await connection.run(bots.join(self.id, self._mode))
        self._valid_until = asked + bots.TTL_SECONDS - MARGIN_SECONDS
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with await connect_async(self._url) as connection:
                await connection.run(leases.free(await _remove(connection, gone=[self.id])))
        except psycopg.Error as failure:
            log.warning("could not leave, the database is unreachable", error=str(failure))

    @property
    def valid(self) -> bool:
        """Whether no other bot can have fenced this one."""
        return boottime() < self._valid_until

    def check(self) -> None:
        """Raise `LapsedError` unless this process may act."""
        if not self.valid:
            raise LapsedError("not renewed in time; waiting for the database")

    async def admit(self, connection: Connection) -> None:
        """Admit a new session, unless this process has been fenced meanwhile."""
        if not await connection.one(bots.present(self.id)):
            self._exit_fenced()

    async def keep(self) -> None:
        """Renew the row until cancelled."""
        while True:
            try:
                async with await connect_async(self._url, application_name=self.id) as connection:
                    while True:
                        await self._beat(connection)
                        await self._wakeups.wait("lease", BEAT_SECONDS)
            except psycopg.Error as error:
                log.warning("presence not renewed", error=str(error))
                await asyncio.sleep(0.3)

    async def _beat(self, connection: Connection) -> None:
        asked = boottime()
        if not await connection.run(bots.renew(self.id)):
            self._exit_fenced()
        await self._fence_others(connection)
        for lease in self.leases:
            await lease.beat(connection)
        self._valid_until = asked + bots.TTL_SECONDS - MARGIN_SECONDS

    async def _fence_others(self, connection: Connection) -> None:
        silent = await connection.all(bots.silent(besides=self.id))
        now = boottime()
        self._absent_since = {
            other.id: self._absent_since.get(other.id, now) for other in silent if not other.lapsed
        }
        gone = [one for one, since in self._absent_since.items() if now - since >= ABSENT_SECONDS]
        lapsed = [other.id for other in silent if other.lapsed]
        removed = await _remove(connection, gone, lapsed) if gone or lapsed else []
        await connection.run(bots.end_sessions())
        if removed:
            await connection.run(leases.free(removed))
            log.warning("silent bots are fenced", bots=removed)

    def _exit_fenced(self) -> NoReturn:
        log.critical("fenced by another bot after a silence; exiting, to be restarted", bot=self.id)
        os._exit(FENCED_STATUS)


async def _remove(connection: Connection, gone: Sequence[str], lapsed: Sequence[str] = ()) -> list[str]:
    async with connection.durable():
        return await connection.all(bots.remove(gone, lapsed))


def boottime() -> float:
    """Return the seconds of a clock that also runs while the process, or the whole machine, is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
