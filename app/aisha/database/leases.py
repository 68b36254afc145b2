"""The table `leases`: what only one bot at a time may do, and how that is handed over."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from aisha import metrics
from aisha.database.bots import TTL_SECONDS
from aisha.database.connect import Connection
from aisha.database.statement import Statement

log = structlog.get_logger(__name__)

ABSTAIN_SECONDS = 2
"""How long a bot that was asked to give a lease back leaves it to the others."""

Values = dict[str, Any]
"""Name, holder, fencing token and TTL in seconds; an outdated token holds nothing."""


def take(values: Values) -> Statement[int]:
    """Take a free lease and return its new token; no row when a bot holds it."""
    return Statement(
        """
        INSERT INTO leases (name, holder, token, expires)
        VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + make_interval(secs => %(ttl)s))
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = leases.token + 1,
            expires = excluded.expires, asked_back = false, caught_up = false
        WHERE leases.holder IS NULL OR leases.expires < clock_timestamp()
        RETURNING token
        """,
        values,
    )


def renew(values: Values) -> Statement[bool]:
    """Renew a lease and tell whether it is asked back; no row when another bot has it."""
    return Statement(
        """
        UPDATE leases SET expires = clock_timestamp() + make_interval(secs => %(ttl)s)
        WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s RETURNING asked_back
        """,
        values,
    )


def give_back(values: Values) -> Statement[None]:
    """Give a lease back, so that any bot may take it."""
    return Statement(
        """
        UPDATE leases SET holder = NULL, asked_back = false, caught_up = false
        WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s
        """,
        values,
        wakes=("lease",),
    )


def prove(values: Values) -> Statement[int]:
    """Keep other bots from taking a lease until the transaction ends; no row when one has taken it."""
    return Statement(
        """
        SELECT token FROM leases WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s FOR SHARE
        """,
        values,
    )


def ask_back(name: str) -> Statement[str]:
    """Ask the holder of a lease to give it back and return the holder's id; no row when nobody holds it."""
    return Statement(
        """
        UPDATE leases SET asked_back = true WHERE name = %(name)s AND holder IS NOT NULL RETURNING holder
        """,
        {"name": name},
        wakes=("lease",),
    )


def free(holders: Sequence[str]) -> Statement[None]:
    """Free the leases that removed bots held."""
    return Statement(
        "UPDATE leases SET holder = NULL, caught_up = false WHERE holder = ANY(%(holders)s)",
        {"holders": list(holders)},
        wakes=("lease",),
    )


def holder(name: str) -> Statement[str | None]:
    """Select the holder of a lease, if there is one."""
    sql = "SELECT holder FROM leases WHERE name = %(name)s AND expires > clock_timestamp()"
    return Statement(sql, {"name": name})


def note_caught_up(token: int | None, *, caught_up: bool) -> Statement[None]:
    """Record whether the poller has received all that Telegram had."""
    return Statement(
        "UPDATE leases SET caught_up = %(caught_up)s WHERE name = 'poll' AND token = %(token)s",
        {"token": token, "caught_up": caught_up},
    )


def caught_up() -> Statement[bool]:
    """Select what `note_caught_up` recorded; no row when no bot polls."""
    sql = "SELECT caught_up FROM leases WHERE name = 'poll' AND expires > clock_timestamp()"
    return Statement(sql)


class LostLeaseError(Exception):
    """Another bot has taken the lease."""


class Lease:
    """A lease as one process sees it.

    1. Each beat of the process's presence renews it, or takes it when it is free and this process wants it. The token
       grows each time it is taken.
    2. `held` goes by this process's own clock: it turns false before another process may take the lease.
    3. What two processes must not both do is fenced by `prove` in its transaction: an outdated token commits nothing.
    4. It is given back when the process stops, no longer wants it, or is asked for it; the others are woken at once.
    """

    def __init__(
        self,
        name: str,
        holder: str,
        valid: Callable[[], bool],
        wanted: Callable[[Connection], Awaitable[bool]],
    ) -> None:
        self.name = name
        self.token: int | None = None
        self._holder = holder
        self._valid = valid
        self._wanted = wanted
        self._abstains_until = 0.0
        self._taken = asyncio.Event()
        metrics.LEASES.labels(name).set(0)

    @property
    def held(self) -> bool:
        """Whether this process holds it and may act on it."""
        return self.token is not None and self._valid()

    async def taken(self) -> None:
        """Wait until this process holds it."""
        await self._taken.wait()

    async def beat(self, connection: Connection) -> None:
        """Renew it, take it or give it back, whichever applies."""
        if not await self._wanted(connection):
            await self.give_back(connection)
        elif self.token is not None:
            await self._renew(connection)
        elif time.monotonic() >= self._abstains_until:
            await self._take(connection)

    async def close(self, connection: Connection) -> None:
        """Give it back and never take it again."""
        await self.give_back(connection, abstain=math.inf)

    async def give_back(self, connection: Connection, abstain: float = 0) -> None:
        """Give it back now, and do not take it again for `abstain` seconds."""
        self._abstains_until = time.monotonic() + abstain
        if self.token is None:
            return
        await connection.run(give_back(self._values()))
        self._lost("given back")

    async def prove(self, connection: Connection) -> None:
        """Keep other bots from taking it until the transaction ends.

        Raises:
            LostLeaseError: another bot has taken it.
        """
        if not await connection.one(prove(self._values())):
            raise LostLeaseError(self.name)

    async def _take(self, connection: Connection) -> None:
        if token := await connection.one(take(self._values())):
            self.token = token
            self._taken.set()
            metrics.LEASES.labels(self.name).set(1)
            log.info("lease taken", lease=self.name, token=self.token)

    async def _renew(self, connection: Connection) -> None:
        asked_back = await connection.one(renew(self._values()))
        if asked_back is None:
            self._lost("taken by another bot")
        elif asked_back:
            await self.give_back(connection, ABSTAIN_SECONDS)

    def _lost(self, how: str) -> None:
        log.info("lease " + how, lease=self.name, token=self.token)
        self.token = None
        self._taken.clear()
        metrics.LEASES.labels(self.name).set(0)

    def _values(self) -> Values:
        return {"name": self.name, "holder": self._holder, "token": self.token, "ttl": TTL_SECONDS}
