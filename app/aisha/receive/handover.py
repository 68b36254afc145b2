"""`aisha handover`: hand polling over to another bot, for instance before maintenance of a host."""

import asyncio
import time

import click
import psycopg

from aisha import logs, settings
from aisha.database import leases
from aisha.database.connect import LOST, connect_async
from aisha.database.leases import ABSTAIN_SECONDS
from aisha.errors import ServiceError

LOOK_SECONDS = 0.02


async def handover(url: str) -> str:
    """Ask the polling bot to give the lease back, wait until another polls, and return what happened, in words.

    Raises:
        ServiceError: no other bot takes over, or the database cannot be reached.
    """
    try:
        async with await connect_async(url) as connection:
            if not (before := await connection.one(leases.ask_back("poll"))):
                return "no bot polls"
            began = time.monotonic()
            while time.monotonic() - began < ABSTAIN_SECONDS:
                if (holder := await connection.one(leases.holder("poll"))) not in (None, before):
                    return f"{holder} polls instead of {before}, after {time.monotonic() - began:.2f} s"
                await asyncio.sleep(LOOK_SECONDS)
    except (*LOST, psycopg.errors.UndefinedTable) as error:
        raise ServiceError(f"cannot ask the database of AISHA_DATABASE_URL: {error}") from None
    raise ServiceError(f"no other bot took over from {before}, which keeps polling")


@click.command("handover")
def handover_command() -> None:
    """Hand polling over to another bot."""
    loaded = settings.load_running()
    logs.configure(loaded, "handover")
    click.echo(asyncio.run(handover(loaded.database_address)))
