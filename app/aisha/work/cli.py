"""`aisha worker`: this host's transcription workers."""

import os

import click

from aisha import logs, settings
from aisha.speech.allocator import prefer_fast_allocator
from aisha.work.parent import Parent


@click.command("worker")
@click.option(
    "--concurrency", type=click.IntRange(1), help="Recordings decoded at once.  [default: one per core]"
)
def worker_command(concurrency: int | None) -> None:
    """Run this host's transcription workers."""
    prefer_fast_allocator()
    loaded = settings.load()
    logs.configure(loaded, "worker")
    loaded.required("database_url", "redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
    Parent(loaded, concurrency or loaded.concurrency or len(os.sched_getaffinity(0))).run()
