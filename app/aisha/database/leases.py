"""The room of `leases`: what only one bot at a time does, and how it is handed over."""

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
"""So long one that was asked to give a lease back leaves it to others."""

Values = dict[str, Any]
"""Name, holder, token and TTL in seconds: a holder whose token was followed by another holds nothing."""


def take(values: Values) -> Statement[int]:
    """Take a lease that nobody holds and give the new token; no row when somebody holds it."""
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
    """Renew a lease and tell whether it is asked back; no row when another has it."""
    return Statement(
        """
        UPDATE leases SET expires = clock_timestamp() + make_interval(secs => %(ttl)s)
        WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s RETURNING asked_back
        """,
        values,
    )


def give_back(values: Values) -> Statement[None]:
    """Let anybody take a lease."""
    return Statement(
        """
        UPDATE leases SET holder = NULL, asked_back = false, caught_up = false
        WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s
        """,
        values,
        wakes=("lease",),
    )


def prove(values: Values) -> Statement[int]:
    """Keep others from taking a lease until the transaction ends; no row when one has."""
    return Statement(
        """
        SELECT token FROM leases WHERE name = %(name)s AND holder = %(holder)s AND token = %(token)s FOR SHARE
        """,
        values,
    )


def ask_back(name: str) -> Statement[str]:
    """Ask whoever holds a lease to let another have it, and give its id; no row when nobody holds it."""
    return Statement(
        """
        UPDATE leases SET asked_back = true WHERE name = %(name)s AND holder IS NOT NULL RETURNING holder
        """,
        {"name": name},
        wakes=("lease",),
    )


def free(holders: Sequence[str]) -> Statement[None]:
    """Let anybody take what bots that are gone have held."""
    return Statement(
        "UPDATE leases SET holder = NULL, caught_up = false WHERE holder = ANY(%(holders)s)",
        {"holders": list(holders)},
        wakes=("lease",),
    )


def holder(name: str) -> Statement[str | None]:
    """Give who holds a lease, if anybody does."""
    sql = "SELECT holder FROM leases WHERE name = %(name)s AND expires > clock_timestamp()"
    return Statement(sql, {"name": name})


def note_caught_up(token: int | None, *, caught_up: bool) -> Statement[None]:
    """Say whether the poller has received all that Telegram had."""
    return Statement(
        "UPDATE leases SET caught_up = %(caught_up)s WHERE name = 'poll' AND token = %(token)s",
        {"token": token, "caught_up": caught_up},
    )


def caught_up() -> Statement[bool]:
    """Tell the poller's word on that; no row when no bot polls."""
    sql = "SELECT caught_up FROM leases WHERE name = 'poll' AND expires > clock_timestamp()"
    return Statement(sql)


class LostLeaseError(Exception):
    """Another bot holds the lease by now."""


class Lease:
    """One process's part in a lease.

    1. With each beat of the process's presence it is renewed, or taken when nobody has it and this process wants it.
       The token grows with every taking.
    2. `held` is by this process's own clock: false before anybody else may take it.
    3. What must not be done by two is proved within its transaction: with another token, nothing is committed.
    4. It is given back when the process stops, no longer wants it, or is asked to; the others are told at once.
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
        """Whether this process holds it and may act upon that."""
        return self.token is not None and self._valid()

    async def taken(self) -> None:
        """Wait until this process holds it."""
        await self._taken.wait()

    async def beat(self, connection: Connection) -> None:
        """Renew it, take it or give it back, as things are."""
        if not await self._wanted(connection):
            await self.give_back(connection)
        elif self.token is not None:
            await self._renew(connection)
        elif time.monotonic() >= self._abstains_until:
            await self._take(connection)

    async def close(self, connection: Connection) -> None:
        """Give it back for good."""
        await self.give_back(connection, abstain=math.inf)

    async def give_back(self, connection: Connection, abstain: float = 0) -> None:
        """Let the next bot have it now, and do not take it again for so many seconds."""
        self._abstains_until = time.monotonic() + abstain
        if self.token is None:
            return
        await connection.run(give_back(self._values()))
        self._lost("given back")

    async def prove(self, connection: Connection) -> None:
        """Keep everybody else from taking it until the transaction ends.

        Raises:
            LostLeaseError: somebody has taken it.
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
