"""The verb `aisha run`."""

import asyncio

import click

from aisha import logs
from aisha.settings import load
from aisha_embedded.run import Run


@click.command("run")
def run_command() -> None:
    """Run everything on this machine: services, bot, workers and web chat.

    Without AISHA_BOT_TOKEN a local sandbox takes Telegram's place. Each of AISHA_DATABASE_URL,
    AISHA_REDIS_URL and AISHA_S3_ENDPOINT, when set, replaces its embedded service. Prints `ready ADDRESS` on
    standard output when all of them answer; Ctrl-C stops everything.
    """
    settings = load()
    logs.configure(settings, "run")
    asyncio.run(Run(settings)())
