"""Decodes any recording to blocks of 16 kHz mono samples, in this process and piece by piece.

A recording that ends before its own container or its sender says is marked as truncated, so that the
reader of the text learns that it ends early.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from aisha.errors import NoSoundError, UnreadableFileError
from aisha.speech.container import ends_early, in_seconds, open_container, tagged_seconds
from aisha.speech.level import RATE
from aisha.speech.timeline import Clock, Collector, check_rate, pieces

MISSING, MISSING_PART = 1.5, 0.05
"""A recording is truncated when more than 1.5 s and more than 5 % of its declared length are missing."""

BROKEN_READS = 16
Source = BinaryIO | Path


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording is; `duration` in seconds, None if neither the container nor decoding gives it.

    After decoding, `duration` is what was decoded, `declared` what the container or the sender promised,
    `damaged` the number of places that could not be decoded, and `truncated` whether the end is missing.
    """

    container: str
    codec: str
    sample_rate: int
    channels: int
    has_video: bool
    duration: float | None
    declared: float | None = None
    damaged: int = 0
    truncated: bool = False


def probe(source: Source) -> AudioInfo:
    """Read what the headers tell, without decoding; a seekable source is at its beginning again afterwards.

    Raises:
        EmptyFileError, UnreadableFileError, NoSoundError: as `blocks`.
    """
    with Blocks(source) as reader:
        return reader.info


def blocks(source: Source, expected_duration: float | None = None) -> "Blocks":
    """Decode the first audio stream of a file or of an open binary stream, which need not be seekable.

    A source that cannot seek must be readable from front to back, as Ogg is and many MP4 files are not.
    `expected_duration` is the length in seconds that the sender declared. The result is an iterator of int16
    arrays of half a second; once it is exhausted, its `info` tells the decoded duration and the damage.

    Raises:
        EmptyFileError: there are no bytes.
        UnreadableFileError: it is no audio or video, or nothing of it can be decoded.
        NoSoundError: there is no audio stream.
    """
    return Blocks(source, expected_duration)


class Blocks(Iterator[NDArray[np.int16]]):
    """The decoded audio of one recording, block by block.

    1. open the container, choose the first audio stream that has a decoder, discard every other one;
    2. decode packet by packet; skip what is damaged and count it;
    3. place each frame by its timestamp: a gap becomes silence;
    4. resample to 16 kHz mono and hand out blocks of half a second;
    5. at the end compare with what was declared, and close.
    """

    def __init__(self, source: Source, expected_duration: float | None = None) -> None:
        self._file, self._owned = (source.open("rb"), True) if isinstance(source, Path) else (source, False)
        self._seekable = self._file.seekable()
        self._expected = expected_duration
        self._broken = 0
        self._broken_at_end = False
        self._decoded = 0
        try:
            self._container = open_container(self._file, self._seekable)
            self._stream = self._choose_stream()
        except BaseException:
            self.close()
            raise
        self.info = self._describe()
        self._samples = self._generate()

    def __enter__(self) -> "Blocks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> "Blocks":
        return self

    def __next__(self) -> NDArray[np.int16]:
        return next(self._samples)

    def close(self) -> None:
        """Free the decoder; close the file if it was opened here, else rewind it."""
        if container := getattr(self, "_container", None):
            container.close()
        if self._owned:
            self._file.close()
        elif self._seekable and not self._file.closed:
            self._file.seek(0)

    def _choose_stream(self) -> AudioStream:
        streams = [stream for stream in self._container.streams.audio if _decodable(stream)]
        if streams:
            check_rate(streams[0].codec_context.sample_rate)
        else:
            if self._container.streams.video and not self._container.streams.audio:
                raise NoSoundError(f"no audio stream in this {self._container.format.name}")
            raise UnreadableFileError(f"no audio that can be decoded in this {self._container.format.name}")
        for stream in self._container.streams:
            if stream is not streams[0]:
                stream.discard = av.stream.Discard.all
        return streams[0]

    def _describe(self) -> AudioInfo:
        context = self._stream.codec_context
        pictures = [
            s for s in self._container.streams.video if not s.disposition & av.stream.Disposition.attached_pic
        ]
        declared = self._declared(bool(pictures))
        return AudioInfo(
            container=self._container.format.name,
            codec=context.name,
            sample_rate=context.sample_rate,
            channels=context.layout.nb_channels,
            has_video=bool(pictures),
            duration=declared if declared is not None else in_seconds(self._container.duration, av.time_base),
            declared=declared,
        )

    def _declared(self, has_video: bool) -> float | None:
        """Return the audio's length by the headers; a video's own length says nothing about its sound's."""
        own = in_seconds(self._stream.duration, self._stream.time_base) or tagged_seconds(
            self._stream.metadata
        )
        return own or (None if has_video else in_seconds(self._container.duration, av.time_base))

    def _generate(self) -> Iterator[NDArray[np.int16]]:
        collector = Collector()
        clock = Clock(self._stream, self._container)
        try:
            for frame in self._frames():
                self._lost_pages(gap := clock.gap_before(frame))
                collector.silence(gap)
                for piece in pieces(frame):
                    collector.add(piece)
                    yield from collector.full()
                self._broken_at_end = False
                self._decoded = clock.samples = collector.total
            yield from collector.rest()
            self._decoded = collector.total
            self.info = self._judge_end()
        finally:
            self.close()

    def _lost_pages(self, gap: int) -> None:
        """Count a gap in an Ogg stream as damage: there it means skipped pages."""
        if gap and self._decoded and self._container.format.name == "ogg":
            self._broken += 1

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield what can be decoded."""
        for packet in self._packets():
            try:
                yield from cast("list[AudioFrame]", packet.decode())
            except (av.error.FFmpegError, OSError, ValueError):
                self._count_broken()

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the stream; after a broken read continue behind it, a bounded number of times."""
        broken = 0
        while broken < BROKEN_READS:
            try:
                yield from self._container.demux(self._stream)
            except IndexError:
                continue  # a packet of a stream that began midway, which PyAV does not know
            except (av.error.FFmpegError, OSError):
                self._count_broken()
                broken += 1
            else:
                return

    def _count_broken(self) -> None:
        self._broken += 1
        self._broken_at_end = True

    def _judge_end(self) -> AudioInfo:
        decoded = self._decoded / RATE
        expected = None if self.info.has_video and self.info.declared else self._expected
        declared = max((d for d in (self.info.declared, expected) if d), default=None)
        if not self._decoded and (self._broken or declared or self._cut_off()):
            raise UnreadableFileError(f"damaged before its first sample: {self.info.container}")
        missing = declared is not None and declared - decoded > max(MISSING, MISSING_PART * declared)
        truncated = missing or self._cut_off()
        return replace(
            self.info, duration=decoded, declared=declared, damaged=self._broken, truncated=truncated
        )

    def _cut_off(self) -> bool:
        """Tell whether the file ends within a packet.

        After an MP3's last frame there are often strange tags, which prove nothing.
        """
        kind = self._container.format.name
        return (self._seekable and ends_early(self._file, kind)) or (self._broken_at_end and kind != "mp3")


def _decodable(stream: AudioStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.sample_rate > 0
