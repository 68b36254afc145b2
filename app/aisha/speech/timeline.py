"""Places decoded frames in time, as one stream of mono samples at 16 kHz."""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from aisha.errors import UnreadableFileError
from aisha.speech.channels import Mixer, Reader, Samples
from aisha.speech.container import in_seconds
from aisha.speech.level import RATE
from aisha.speech.loudness import BLOCK

GAP = 0.5
"""Seconds; a smaller jump of the timestamps is jitter, a larger one is missing sound and becomes silence."""

LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
"""Samples a second that recorders make, in Hz; beyond them a few bytes could become hours."""

CONFIRMED_FROM = 60.0
"""Seconds; a longer jump must be confirmed by the next frame, which a damaged timestamp is not."""

LONGEST_GAP = 12 * 3600.0
LONGEST_GAP_BROADCAST = 3600.0
BROADCAST = frozenset({"mpegts", "mpeg"})
"""Containers in which recordings are joined end to end, each with a clock of its own."""


def check_rate(rate: int) -> None:
    """Raise `UnreadableFileError` for a sample rate that no recorder makes."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UnreadableFileError(f"a sample rate of {rate} Hz, which no recorder makes")


class Collector:
    """Gathers frames of any rate and layout, and turns them into mono at 16 kHz in pieces of half a second."""

    def __init__(self) -> None:
        self._setup: tuple[str, str, int, int] | None = None
        self._held: list[Samples] = []
        self._size = 0

    def add(self, frame: AudioFrame) -> Iterator[Samples]:
        """Take a frame; when rate, layout or format change midway, begin anew."""
        channels = frame.layout.nb_channels
        setup = (frame.format.name, frame.layout.name, channels, frame.sample_rate)
        if setup != self._setup:
            check_rate(frame.sample_rate)
            yield from self.rest()
            self._setup, self._rate = setup, frame.sample_rate
            self._reader = Reader(frame)
            self._mixer = Mixer(frame.layout.name, channels, frame.sample_rate)
            self._resampler = AudioResampler("fltp", "mono", RATE)
        longest = max(self._rate // 2, 1)
        for piece in self._reader.samples(frame, longest):
            self._held.append(piece)
            self._size += piece.shape[1]
            if self._size >= longest:
                yield from self.so_far()

    def so_far(self) -> Iterator[Samples]:
        """Convert what is held."""
        if not self._held:
            return
        mono = self._mixer.mix(np.concatenate(self._held, axis=1))
        self._held, self._size = [], 0
        if self._rate == RATE:
            yield mono
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), "fltp", "mono")
        frame.sample_rate = self._rate
        yield from self._resampled(frame)

    def rest(self) -> Iterator[Samples]:
        """Convert what is held, and take what the resampler holds."""
        yield from self.so_far()
        if self._setup and self._rate != RATE:
            yield from self._resampled(None)
        self._setup = None

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Samples]:
        for part in self._resampler.resample(frame):
            yield part.to_ndarray()[0]


class Clock:
    """Compares each frame's timestamp with the seconds decoded so far."""

    def __init__(self, stream: AudioStream, container: InputContainer, declared: float | None) -> None:
        begin = in_seconds(stream.start_time, stream.time_base) or 0.0
        zero = container.start_time / av.time_base if container.start_time is not None else begin
        self._shift = min(zero, begin)
        self._broadcast = container.format.name in BROADCAST
        whole = in_seconds(container.duration, av.time_base)
        self._end = max(whole, declared) + GAP if whole and declared else None
        if container.format.name == "ogg" and whole:
            self._end = whole + GAP
        self.now = 0.0

    def gap_before(self, frame: AudioFrame, following: AudioFrame | None) -> float:
        """Return the seconds of silence that belong before this frame, and count them and the frame.

        A jump backwards, one beyond the declared end, or a long one that the following frame does not make too is a
        wrong timestamp: time goes on from where it was.
        """
        gap = self._jump(frame)
        if (
            gap < 0
            or gap > self._allowed()
            or (gap > CONFIRMED_FROM and not self._continues(frame, following))
        ):
            self._shift += gap
            gap = 0.0
        self.now += gap + _length(frame)
        return gap

    def _jump(self, frame: AudioFrame) -> float:
        seconds = _seconds(frame)
        gap = 0.0 if seconds is None else seconds - self._shift - self.now
        return gap if abs(gap) >= GAP else 0.0

    def _allowed(self) -> float:
        if self._broadcast:
            return LONGEST_GAP_BROADCAST
        return LONGEST_GAP if self._end is None else self._end - self.now

    @staticmethod
    def _continues(frame: AudioFrame, following: AudioFrame | None) -> bool:
        if following is None:
            return True
        here, there = _seconds(frame), _seconds(following)
        return here is not None and there is not None and abs(there - here - _length(frame)) < GAP


def _seconds(frame: AudioFrame) -> float | None:
    return None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)


def _length(frame: AudioFrame) -> float:
    return frame.samples / frame.sample_rate


def timed(frames: Iterable[AudioFrame], clock: Clock) -> Iterator[tuple[float, Samples]]:
    """Yield pieces of mono samples at 16 kHz, gaps as silence, each with the seconds of the gap that it belongs to."""
    collector = Collector()
    for frame, following in pairwise(chain(frames, [None])):
        assert frame
        if gap := clock.gap_before(frame, following):
            for piece in collector.so_far():
                yield 0.0, piece
            for piece in _silence(gap):
                yield gap, piece
                gap = 0.0
        for piece in collector.add(frame):
            yield 0.0, piece
    for piece in collector.rest():
        yield 0.0, piece


def _silence(seconds: float) -> Iterator[Samples]:
    left = int(seconds * RATE)
    while left > 0:
        yield np.zeros(min(left, BLOCK), np.float32)
        left -= BLOCK
