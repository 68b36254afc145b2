"""`aisha transcribe`: the same engine as the worker's, on files, without any service."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from aisha import settings
from aisha.errors import AishaError, AudioError, ModelError
from aisha.models.catalogue import language as known_language
from aisha.models.store import installed
from aisha.speech.allocator import prefer_fast_allocator

if TYPE_CHECKING:
    from aisha.speech.decoders import Result, Task
    from aisha.speech.transcript import Part

STDIN = Path("-")
INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit statuses, as a shell gives them for SIGINT and SIGPIPE."""
CLEAN_LINE = b"\r\x1b[K\x1b[?25h"
"""Takes the progress bar away and shows the cursor again, which Rich hides."""

Tick = Callable[[float], None]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--format", "kind", type=click.Choice(["txt", "srt", "vtt", "json"]), default="txt", show_default=True
)
@click.option("--language", help="Language of the speech. Default: AISHA_DEFAULT_LANGUAGE.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes that decode. Default: one a core.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per FILE here instead of to stdout.",
)
@click.pass_context
def transcribe_command(
    context: click.Context,
    files: tuple[Path, ...],
    kind: str,
    language: str | None,
    jobs: int | None,
    output_dir: Path | None,
) -> None:
    """Transcribe audio and video FILEs; `-` is standard input.

    The text goes to stdout in the order of the files. Several texts are told apart by lines such as ==> FILE
    <==, several JSON results are one line each, and several subtitles need --output-dir. A file that cannot
    be transcribed is one line on stderr and makes the exit status 1; the others are done all the same.
    """
    if len(files) > 1 and kind in ("srt", "vtt") and output_dir is None:
        raise click.UsageError(f"several files as {kind} need --output-dir")
    signal.signal(signal.SIGINT, _interrupted)
    if context.find_root().info_name == "aisha":
        prefer_fast_allocator()
    wanted = settings.load()
    model = _model(language or wanted.default_language, wanted.models_path)
    output = _Output(kind, output_dir, files)
    try:
        failed = _transcribe(files, model, jobs or wanted.concurrency or _cores(), output)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    sys.exit(1 if failed else 0)


def _interrupted(*_: object) -> None:
    """End at once, and with it every process; an exception would be lost in a callback of PyAV's or of a fork's."""
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), CLEAN_LINE)
    os._exit(INTERRUPTED)


@dataclass
class _File:
    """One argument and how far it is; `segments` is known once it is read to its end."""

    path: Path
    parts: list["Part"] = field(default_factory=list)
    segments: int | None = None
    error: str = ""
    truncated: bool = False

    @property
    def finished(self) -> bool:
        return bool(self.error) or self.segments == len(self.parts)


class _Output:
    """Writes what is finished, in the order of the arguments."""

    def __init__(self, kind: str, folder: Path | None, paths: tuple[Path, ...]) -> None:
        self.kind = kind
        self._folder = folder
        self._several = len(paths) > 1
        stems = [path.stem for path in paths]
        self._ambiguous = {stem for stem in stems if stems.count(stem) > 1}
        self._first = True

    def write(self, path: Path, text: str) -> None:
        """Write one file's result.

        Raises:
            OSError: the folder or stdout cannot be written.
        """
        if self._folder:
            self._save(path, text)
            return
        if self._several and self.kind == "txt":
            text = f"{'' if self._first else chr(10)}==> {path} <==\n{text}"
        self._first = False
        sys.stdout.write(text)
        sys.stdout.flush()

    def _save(self, path: Path, text: str) -> None:
        assert self._folder
        self._folder.mkdir(parents=True, exist_ok=True)
        name = "stdin" if path == STDIN else path.name if path.stem in self._ambiguous else path.stem
        target = self._folder / f"{name}.{self.kind}"
        part = target.with_name(f".{target.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)


def _model(code: str, models_path: Path) -> Path:
    language = known_language(code)
    try:
        return installed(models_path)[code].path
    except KeyError:
        raise ModelError(
            f"no {language.english} model in {models_path}: run `aisha models pull {code}`"
        ) from None


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _transcribe(paths: tuple[Path, ...], model: Path, jobs: int, output: _Output) -> bool:
    """Decode every file and write it when its turn comes; tell whether any failed."""
    from aisha.speech.decoders import Decoders
    from aisha.speech.engine import ENGINE

    files = [_File(path) for path in paths]
    pending = list(files)
    with Decoders(ENGINE.load(model), jobs) as decoders, _progress(paths) as tick:
        for result in decoders.decode(_tasks(files, jobs)):
            file, start, overlap = cast("tuple[_File, float, float]", result.key)
            _collect(file, start, overlap, result)
            tick(result.transcript.duration - overlap if result.transcript else 0)
            _write_finished(pending, output)
    _write_finished(pending, output)
    return any(file.error for file in files)


def _tasks(files: list[_File], jobs: int) -> "Iterator[Task]":
    """Read file after file and yield segments, as they are asked for; a file's error stays with the file."""
    for file in files:
        try:
            with _opened(file.path) as source:
                yield from _segments(file, source, jobs)
        except AudioError as error:
            file.error = str(error)
        except OSError as error:
            file.error = error.strerror or str(error)


def _segments(file: _File, source: "BinaryIO", jobs: int) -> "Iterator[Task]":
    from aisha.speech.audio import blocks
    from aisha.speech.decoders import Task
    from aisha.speech.segment import Splitter, target_length

    with blocks(source) as audio:
        count = 0
        for segment in Splitter(target_length(audio.info.duration, jobs)).split(audio):
            if file.error:
                return
            count += 1
            yield Task((file, segment.start, segment.overlap), segment.pcm)
        file.truncated = audio.info.truncated
        file.segments = count


@contextmanager
def _opened(path: Path) -> "Iterator[BinaryIO]":
    """Open a file; standard input is copied first, for some containers must be read backwards."""
    if path != STDIN:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        while data := sys.stdin.buffer.read(1024 * 1024):
            copy.write(data)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def _collect(file: _File, start: float, overlap: float, result: "Result") -> None:
    from aisha.speech.transcript import Part

    if result.transcript:
        file.parts.append(Part(start, overlap, result.transcript))
    else:
        file.error = str(result.error)


def _write_finished(pending: list[_File], output: _Output) -> None:
    """Write the files at the head of the queue that are done, and say which failed."""
    while pending and pending[0].finished:
        file = pending.pop(0)
        try:
            if not file.error:
                _write(file, output)
        except BrokenPipeError:
            raise
        except OSError as error:
            file.error = f"cannot write the result: {error.strerror}"
        if file.error:
            click.echo(f"{file.path}: {file.error}", err=True)


def _write(file: _File, output: _Output) -> None:
    from aisha.speech.formats import WRITERS
    from aisha.speech.judge import judge
    from aisha.speech.transcript import Transcript, join

    transcript = join(file.parts)
    outcome = judge(transcript)
    if outcome != "speech":
        click.echo(f"{file.path}: {NOTHING[outcome]}", err=True)
        transcript = Transcript((), transcript.duration, transcript.level)
    if file.truncated:
        minutes, seconds = divmod(int(transcript.duration), 60)
        click.echo(f"{file.path}: the file is damaged and ends early, at {minutes:02}:{seconds:02}", err=True)
    output.write(file.path, WRITERS[output.kind](transcript))


NOTHING = {
    "silence": "nothing but silence",
    "no_speech": "sound, but no speech",
    "too_short": "too short for any word",
}


@contextmanager
def _progress(paths: tuple[Path, ...]) -> Iterator[Tick]:
    """Show on a terminal how much is decoded; without a thread, because processes are forked meanwhile."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn

    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("transcribing", total=_total(paths))

        def tick(seconds: float) -> None:
            bar.advance(task, seconds)
            bar.refresh()

        bar.refresh()
        yield tick


def _total(paths: tuple[Path, ...]) -> float | None:
    """Return the seconds of all files together, None when any does not tell."""
    from aisha.speech.audio import probe

    total = 0.0
    for path in paths:
        try:
            duration = None if path == STDIN else probe(path).duration
        except (AishaError, OSError):
            duration = 0.0
        if duration is None:
            return None
        total += duration
    return total
