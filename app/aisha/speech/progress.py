"""The progress bar of `aisha transcribe`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aisha.errors import AishaError
from aisha.speech.media.reader import MediaReader
from aisha.speech.sources import can_be_reread

Tick = Callable[[float], None]


@contextmanager
def progress(names: tuple[str, ...], media: MediaReader) -> Iterator[Tick]:
    """Show on a terminal how much is decoded; without a thread, because processes are forked meanwhile."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("transcribing", total=_total(names, media))

        def tick(seconds: float) -> None:
            bar.advance(task, seconds)
            bar.refresh()

        bar.refresh()
        yield tick


def _total(names: tuple[str, ...], media: MediaReader) -> float | None:
    """Return the seconds of all files together, None when any does not tell or can be read only once."""
    total = 0.0
    for name in names:
        try:
            duration = media.probe(Path(name)).duration if can_be_reread(name) else None
        except (AishaError, OSError):
            duration = 0.0
        if duration is None:
            return None
        total += duration
    return total
