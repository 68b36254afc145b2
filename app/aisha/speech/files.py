"""Transcribes files in parallel, and writes each when its turn comes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from aisha.errors import AudioError
from aisha.speech.audio import AudioInfo
from aisha.speech.decoders import Decoders, Result, Task
from aisha.speech.engine import ENGINE
from aisha.speech.media.reader import MediaReader
from aisha.speech.output import Output
from aisha.speech.progress import progress
from aisha.speech.segment import Splitter, target_length
from aisha.speech.sources import Sources
from aisha.speech.transcript import Part, join


@dataclass
class File:
    """One argument and its progress; `segments` and `info` are known once the file is read to its end."""

    number: int
    name: str
    parts: list[Part] = field(default_factory=list)
    segments: int | None = None
    info: AudioInfo | None = None
    error: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has failed, or all that was read is recognised."""
        return bool(self.error) or self.segments == len(self.parts)


def transcribe(names: tuple[str, ...], model: Path, jobs: int, output: Output, media: MediaReader) -> bool:
    """Decode every file and write it when its turn comes; tell whether any failed."""
    files = [File(number, name) for number, name in enumerate(names)]
    pending = list(files)
    with Sources() as sources, Decoders(ENGINE.load(model), jobs) as decoders, progress(names, media) as tick:
        for result in decoders.decode(_tasks(files, sources, jobs, media)):
            file, start, overlap = cast("tuple[File, float, float]", result.key)
            _collect(file, start, overlap, result)
            tick(result.transcript.duration - overlap if result.transcript else 0)
            _write_finished(pending, output)
    _write_finished(pending, output)
    return any(file.error for file in files)


def _tasks(files: list[File], sources: Sources, jobs: int, media: MediaReader) -> Iterator[Task]:
    """Read file after file and yield segments, as they are asked for; a file's error stays with the file."""
    for file in files:
        try:
            with sources.open(file.name) as source:
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
        file.info = audio.info
        file.segments = count


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
            if file.info and not file.error:
                output.write(file.number, join(file.parts), file.info)
        except BrokenPipeError:
            raise
        except OSError as error:
            file.error = f"cannot write the result: {error.strerror}"
        if file.error:
            output.fail(file.number, file.error)
