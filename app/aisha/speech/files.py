"""Transcribes files in parallel, and writes each when its turn comes."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import click

from aisha.errors import AudioError
from aisha.speech.decoders import Decoders, Result, Task
from aisha.speech.engine import ENGINE
from aisha.speech.media.reader import MediaReader
from aisha.speech.output import STDIN, Output
from aisha.speech.progress import progress
from aisha.speech.segment import Splitter, target_length
from aisha.speech.transcript import Part, join


@dataclass
class File:
    """One argument and its progress; `segments` is known once the file is read to its end."""

    path: Path
    parts: list[Part] = field(default_factory=list)
    segments: int | None = None
    error: str = ""
    truncated: bool = False

    @property
    def finished(self) -> bool:
        """Whether it has failed, or all that was read is recognised."""
        return bool(self.error) or self.segments == len(self.parts)


def transcribe(paths: tuple[Path, ...], model: Path, jobs: int, output: Output, media: MediaReader) -> bool:
    """Decode every file and write it when its turn comes; tell whether any failed."""
    files = [File(path) for path in paths]
    pending = list(files)
    with Decoders(ENGINE.load(model), jobs) as decoders, progress(paths, media) as tick:
        for result in decoders.decode(_tasks(files, jobs, media)):
            file, start, overlap = cast("tuple[File, float, float]", result.key)
            _collect(file, start, overlap, result)
            tick(result.transcript.duration - overlap if result.transcript else 0)
            _write_finished(pending, output)
    _write_finished(pending, output)
    return any(file.error for file in files)


def _tasks(files: list[File], jobs: int, media: MediaReader) -> Iterator[Task]:
    """Read file after file and yield segments, as they are asked for; a file's error stays with the file."""
    for file in files:
        try:
            with _opened(file.path) as source:
                yield from _segments(file, source, jobs, media)
        except AudioError as error:
            file.error = str(error)
        except OSError as error:
            file.error = error.strerror or str(error)


def _segments(file: File, source: BinaryIO, jobs: int, media: MediaReader) -> Iterator[Task]:
    with media.blocks(source) as audio:
        count = 0
        for segment in Splitter(target_length(audio.info.duration, jobs)).split(audio):
            if file.error:
                return
            count += 1
            yield Task((file, segment.start, segment.overlap), segment.pcm)
        file.truncated = audio.info.truncated
        file.segments = count


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file; standard input is copied first, since some containers must be read backwards."""
    if path != STDIN:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        while data := sys.stdin.buffer.read(1024 * 1024):
            copy.write(data)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def _collect(file: File, start: float, overlap: float, result: Result) -> None:
    if result.transcript:
        file.parts.append(Part(start, overlap, result.transcript))
    else:
        file.error = str(result.error)


def _write_finished(pending: list[File], output: Output) -> None:
    """Write the files at the head of the queue that are done, and say which failed."""
    while pending and pending[0].finished:
        file = pending.pop(0)
        try:
            if not file.error:
                output.write(file.path, join(file.parts), truncated=file.truncated)
        except BrokenPipeError:
            raise
        except OSError as error:
            file.error = f"cannot write the result: {error.strerror}"
        if file.error:
            click.echo(f"{file.path}: {file.error}", err=True)
