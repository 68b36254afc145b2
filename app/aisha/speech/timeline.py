"""Places decoded frames in time, as one stream of 16 kHz mono blocks."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from aisha.errors import UnreadableFileError
from aisha.speech.container import in_seconds
from aisha.speech.level import RATE

BLOCK = RATE // 2
GAP = 0.5
"""Seconds; a smaller jump of the timestamps is jitter, a larger one is missing sound and becomes silence."""

LONGEST_GAP = 600.0
LONGEST_UNDECLARED_GAP = 60.0


LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000
"""Samples a second that recorders make, in Hz; beyond them a few bytes could become hours."""

PIECE = 65_536
"""Samples that are resampled at once: some formats put a whole recording into one frame."""


def check_rate(rate: int) -> None:
    """Raise `UnreadableFileError` for a sample rate that no recorder makes."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise UnreadableFileError(f"a sample rate of {rate} Hz, which no recorder makes")


def pieces(frame: AudioFrame) -> Iterator[AudioFrame]:
    """Yield a frame in parts that are small enough to resample."""
    check_rate(frame.sample_rate)
    if frame.samples <= PIECE:
        yield frame
        return
    frame.pts = None
    queue = AudioFifo()
    queue.write(frame)
    while piece := queue.read(PIECE, partial=True):
        yield piece


class Collector:
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


class Clock:
    """Compares each frame's timestamp with the samples decoded so far."""

    def __init__(self, stream: AudioStream, container: InputContainer) -> None:
        begin = in_seconds(stream.start_time, stream.time_base) or 0.0
        zero = container.start_time / av.time_base if container.start_time is not None else begin
        self._shift = min(zero, begin)
        self._duration = in_seconds(container.duration, av.time_base)
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
