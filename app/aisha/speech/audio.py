"""Decodes any recording to blocks of 16 kHz mono samples, in this process and piece by piece.

A recording that ends before its own container or its sender says is told from a short one, so that the
reader of the text learns that it ends early.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import av.error
import av.logging
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from aisha.errors import EmptyFileError, NoSoundError, UnreadableFileError
from aisha.speech.level import RATE

BLOCK = RATE // 2
GAP = 0.5
"""Seconds; a smaller jump of the timestamps is jitter, a larger one is missing sound and becomes silence."""

LONGEST_GAP = 600.0
LONGEST_UNDECLARED_GAP = 60.0
MISSING, MISSING_PART = 1.5, 0.05
"""A recording is truncated when more than 1.5 s and more than 5 % of its declared length are missing."""

BROKEN_READS = 16
OGG_PAGE = 65_307
"""The largest Ogg page, in bytes (RFC 3533, section 6)."""

NESTING = frozenset(
    {"concat", "dash", "ffmetadata", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest"}
)
"""Playlists: they name other files, which a stranger's file must not."""

Source = BinaryIO | Path


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a recording is; `duration` in seconds, None when neither the container nor a decoding tells.

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

    What cannot seek must be readable from front to back, as Ogg is and many an MP4 is not.
    `expected_duration` is the length in seconds that the sender told. The result is an iterator of int16
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
            self._container = _open(self._file, self._seekable)
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
        """Free the decoder; close the file if it was opened here, else wind it back."""
        if container := getattr(self, "_container", None):
            container.close()
        if self._owned:
            self._file.close()
        elif self._seekable and not self._file.closed:
            self._file.seek(0)

    def _choose_stream(self) -> AudioStream:
        streams = [stream for stream in self._container.streams.audio if _decodable(stream)]
        if not streams:
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
            duration=declared if declared is not None else _seconds(self._container.duration, av.time_base),
            declared=declared,
        )

    def _declared(self, has_video: bool) -> float | None:
        """Return the audio's length by the headers; a video's own length says nothing about its sound's."""
        own = _seconds(self._stream.duration, self._stream.time_base) or _tagged(self._stream.metadata)
        return own or (None if has_video else _seconds(self._container.duration, av.time_base))

    def _generate(self) -> Iterator[NDArray[np.int16]]:
        collector = _Collector()
        clock = _Clock(self._stream, self._container)
        try:
            for frame in self._frames():
                self._lost_pages(gap := clock.gap_before(frame))
                collector.silence(gap)
                collector.add(frame)
                self._broken_at_end = False
                self._decoded = clock.samples = collector.total
                yield from collector.full()
            yield from collector.rest()
            self._decoded = collector.total
            self.info = self._judge_end()
        finally:
            self.close()

    def _lost_pages(self, gap: int) -> None:
        """Count a gap in an Ogg stream as damage: there it is pages that were skipped."""
        if gap and self._decoded and self._container.format.name == "ogg":
            self._broken += 1

    def _frames(self) -> Iterator[AudioFrame]:
        """Yield what can be decoded."""
        for packet in self._packets():
            try:
                yield from cast("list[AudioFrame]", packet.decode())
            except (av.error.FFmpegError, ValueError):
                self._count_broken()

    def _packets(self) -> Iterator[Any]:
        """Yield the packets of the stream; after a broken read go on behind it, a bounded number of times."""
        for _ in range(BROKEN_READS):
            try:
                yield from self._container.demux(self._stream)
            except av.error.FFmpegError:
                self._count_broken()
            else:
                return

    def _count_broken(self) -> None:
        self._broken += 1
        self._broken_at_end = True

    def _judge_end(self) -> AudioInfo:
        decoded = self._decoded / RATE
        if not self._decoded and (self._broken or self._cut_off()):
            raise UnreadableFileError(f"damaged before its first sample: {self.info.container}")
        expected = None if self.info.has_video and self.info.declared else self._expected
        declared = max((d for d in (self.info.declared, expected) if d), default=None)
        missing = declared is not None and declared - decoded > max(MISSING, MISSING_PART * declared)
        truncated = missing or self._cut_off()
        return replace(
            self.info, duration=decoded, declared=declared, damaged=self._broken, truncated=truncated
        )

    def _cut_off(self) -> bool:
        """Tell whether the file ends within a packet.

        Behind an MP3's last frame there are often strange tags, which say nothing.
        """
        kind = self._container.format.name
        if self._seekable and kind == "ogg" and _ends_within_page(self._file):
            return True
        if self._seekable and kind == "wav" and _ends_within_data(self._file):
            return True
        return self._broken_at_end and kind != "mp3"


class _Collector:
    """Gathers frames of any rate and layout as 16 kHz mono, to be taken in whole blocks."""

    def __init__(self) -> None:
        self.total = 0
        self._held: list[NDArray[np.int16]] = []
        self._size = 0
        self._setup: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def add(self, frame: AudioFrame) -> None:
        """Resample a frame; when rate, layout or format change midway, start a new resampler."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup or self._resampler is None:
            self._flush()
            self._setup, self._resampler = setup, AudioResampler("s16", "mono", RATE)
        frame.pts = None
        self._take(self._resampler.resample(frame))

    def silence(self, samples: int) -> None:
        """Add as many samples of silence."""
        while samples > 0:
            self._hold(np.zeros(min(samples, BLOCK), np.int16))
            samples -= BLOCK

    def full(self) -> Iterator[NDArray[np.int16]]:
        """Take every whole block."""
        if self._size < BLOCK:
            return
        joined = np.concatenate(self._held)
        end = joined.size // BLOCK * BLOCK
        self._held, self._size = [joined[end:].copy()], joined.size - end
        yield from joined[:end].reshape(-1, BLOCK)

    def rest(self) -> Iterator[NDArray[np.int16]]:
        """Take everything, the last block shorter."""
        self._flush()
        yield from self.full()
        if self._size:
            yield np.concatenate(self._held)

    def _flush(self) -> None:
        if self._resampler:
            self._take(self._resampler.resample(None))
            self._resampler = None

    def _take(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            self._hold(frame.to_ndarray().reshape(-1))

    def _hold(self, samples: NDArray[Any]) -> None:
        self._held.append(samples.astype(np.int16, copy=False))
        self._size += samples.size
        self.total += samples.size


class _Clock:
    """Compares each frame's timestamp with the samples decoded so far."""

    def __init__(self, stream: AudioStream, container: InputContainer) -> None:
        begin = _seconds(stream.start_time, stream.time_base) or 0.0
        zero = container.start_time / av.time_base if container.start_time is not None else begin
        self._shift = min(zero, begin)
        self._duration = _seconds(container.duration, av.time_base)
        self.samples = 0

    def gap_before(self, frame: AudioFrame) -> int:
        """Return the samples of silence that belong before this frame.

        A jump backwards, or one that leads beyond the declared end or over ten minutes, is a wrong
        timestamp: time goes on from where it was.
        """
        if frame.pts is None or frame.time_base is None:
            return 0
        now = self.samples / RATE
        gap = float(frame.pts * frame.time_base) - self._shift - now
        if abs(gap) < GAP:
            return 0
        if gap < 0 or gap > self._allowed(now):
            self._shift += gap
            return 0
        return int(gap * RATE)

    def _allowed(self, now: float) -> float:
        if self._duration is None:
            return LONGEST_UNDECLARED_GAP
        return min(LONGEST_GAP, self._duration - now)


class _Pipe:
    """A stream that cannot seek, as FFmpeg likes it: without `seek`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.any = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size) or b""
        self.any = self.any or bool(data)
        return data


def _open(file: BinaryIO, seekable: bool) -> InputContainer:
    """Open the container; what it is decides its content, never a name."""
    if seekable:
        if file.seek(0, io.SEEK_END) == 0:
            raise EmptyFileError("the file is empty")
        file.seek(0)
    pipe = None if seekable else _Pipe(file)
    av.logging.set_level(None)
    try:
        options = {"protocol_whitelist": "none"}
        container = av.open(pipe or file, mode="r", container_options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        if pipe and not pipe.any:
            raise EmptyFileError("the stream is empty") from None
        raise UnreadableFileError(f"not audio or video that can be read: {_reason(error)}") from None
    if NESTING & set(container.format.name.split(",")):
        container.close()
        raise UnreadableFileError(f"a playlist, not a recording: {container.format.name}")
    return container


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _decodable(stream: AudioStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.sample_rate > 0


def _seconds(value: int | None, unit: Fraction | int | None) -> float | None:
    """Return a duration in units of a stream's time base, or in parts of a second, as seconds."""
    if value is None or unit is None or value <= 0:
        return None
    return float(value * unit) if isinstance(unit, Fraction) else value / unit


def _tagged(metadata: dict[str, str]) -> float | None:
    """Return the length that Matroska tells in the tag DURATION, as 00:01:02.345000000."""
    tag = next((value for key, value in metadata.items() if key.upper().startswith("DURATION")), "")
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _ends_within_page(file: BinaryIO) -> bool:
    """Tell whether an Ogg file's last page is shorter than its header says (RFC 3533, section 6)."""
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - 2 * OGG_PAGE)
    file.seek(tail_start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if len(tail) < page + 27 or len(tail) < page + 27 + tail[page + 26]:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(tail) < page + 27 + len(segments) + sum(segments)


def _ends_within_data(file: BinaryIO) -> bool:
    """Tell whether a WAV file ends before its data chunk does; a streamed one says 0 or 2^32-1."""
    size = file.seek(0, io.SEEK_END)
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return length not in (0, 0xFFFFFFFF) and place + 8 + length > size
        place += 8 + length + length % 2
    return False
