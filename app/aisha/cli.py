"""The `aisha` command: each verb lives in the package it belongs to and is imported only when it is called."""

import atexit
import gc
import os
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import click

from aisha.errors import AishaError

TOLD_TO_STOP = 128 + signal.SIGTERM
"""Exit status of a process that gets SIGTERM before it has started its work."""

VERBS = {
    "run": ("aisha_embedded.cli", "Run everything on this machine: services, bot, workers and web chat."),
    "bot": ("aisha.bot", "Run the bot: receive, store, queue and deliver."),
    "worker": ("aisha.work.cli", "Run this host's transcription workers."),
    "webhook": ("aisha.receive.registration", "Show where Telegram delivers updates, or change it."),
    "handover": ("aisha.receive.handover", "Hand polling over to another bot."),
    "migrate": ("aisha.database.migrate", "Bring the database to the newest schema."),
    "models": ("aisha.models.cli", "List, pull and remove speech models."),
    "sandbox": ("aisha_sandbox.cli", "Run the local Bot API server with its web chat."),
    "status": ("aisha.status", "Show what is waiting, running and done."),
    "trace": ("aisha.trace", "Tell one message's whole story."),
    "transcribe": ("aisha.speech.cli", "Transcribe files, without any service."),
}
USING_AIOGRAM = ("bot", "webhook", "handover")
FOR_DEVELOPERS = ("run", "sandbox")
"""Verbs of packages beside this one, which a server does not get."""


class LazyGroup(click.Group):
    """A group whose commands are imported on use, so that `aisha --help` loads neither the engine nor aiogram.

    Each module in `VERBS` has a click command of the verb's own name with the suffix `_command`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs that this installation has, in the order of a message's life."""
        return [verb for verb, (module, _) in VERBS.items() if find_spec(module.partition(".")[0])]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module and return its command.

        Raises:
            AishaError: this installation does not have it.
        """
        if cmd_name not in VERBS:
            return None
        if cmd_name in USING_AIOGRAM:
            import_module("aisha.quick_aiogram").import_aiogram()
        command: click.Command = getattr(_module(cmd_name), f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb][1]) for verb in self.list_commands(ctx)])


def _module(verb: str) -> ModuleType:
    """Return the verb's module; if a developer's verb lacks a package, say so in one sentence."""
    try:
        return import_module(VERBS[verb][0])
    except ModuleNotFoundError as error:
        if verb not in FOR_DEVELOPERS:
            raise
        raise AishaError(
            f"`aisha {verb}` is not part of this installation, which lacks the package {error.name}: "
            "install it from a clone of Aisha's source, with `make run`"
        ) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aisha")
def cli() -> None:
    """Turn Telegram voice messages into text, offline."""


def main() -> None:
    """Run the command line; an `AishaError` is one line on stderr and exit status 1."""
    if os.getpid() == 1:  # the kernel drops a signal that a container's first process does not handle
        signal.signal(signal.SIGTERM, lambda *_: os._exit(TOLD_TO_STOP))
    atexit.register(gc.freeze)  # else Python's last collection walks through all of aiogram, for a second
    try:
        cli.main(prog_name="aisha")
    except AishaError as error:
        click.echo(f"aisha: {error}", err=True)
        sys.exit(1)
