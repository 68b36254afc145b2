"""The progress bar of `aisha transcribe`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aisha.errors import AishaError
from aisha.speech.media.reader import MediaReader
from aisha.speech.output import STDIN

Tick = Callable[[float], None]


@contextmanager
def progress(paths: tuple[Path, ...], media: MediaReader) -> Iterator[Tick]:
    """Show on a terminal how much is decoded; without a thread, because processes are forked meanwhile."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("transcribing", total=_total(paths, media))

        def tick(seconds: float) -> None:
            bar.advance(task, seconds)
            bar.refresh()

        bar.refresh()
        yield tick


def _total(paths: tuple[Path, ...], media: MediaReader) -> float | None:
    """Return the seconds of all files together, None when any does not tell."""
    total = 0.0
    for path in paths:
        try:
            duration = None if path == STDIN else media.probe(path).duration
        except (AishaError, OSError):
            duration = 0.0
        if duration is None:
            return None
        total += duration
    return total
