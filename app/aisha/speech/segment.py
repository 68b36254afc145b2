"""Cuts a long recording into segments that can be decoded in parallel.

A cut in a long pause costs no word; where no pause is long enough, two segments overlap and the join drops
what both say. Measured on recorded speech: 13.4 % of words wrong in one piece, 13.4 to 13.95 % in 2 to 6
parts cut at pauses, 14.3 % in 16 to 24, hence few and long parts.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aisha.speech.level import RATE

SHORTEST = 30.0
LONGEST = 300.0
WHOLE_BELOW = 60.0
OVERLAP = 2.5
PAUSE = 0.3
FRAME = RATE // 100
CONTRAST = 6.0
"""Minimum decibels between the noise floor and speech."""

SILENCE = 40.0
"""Decibels over one step of 16 bits: -50 dBFS."""

NEAREST, FARTHEST = 0.8, 1.2
"""The window of a cut, as parts of the target length."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples (int16, 16 kHz mono) from second `start`; `overlap` seconds of them are in the one before."""

    start: float
    overlap: float
    pcm: NDArray[np.int16]

    @property
    def duration(self) -> float:
        """Seconds of audio."""
        return float(self.pcm.size / RATE)


def target_length(duration: float | None, workers: int) -> float:
    """Return the segment length, in seconds, that keeps `workers` cores evenly busy; infinite for no cut.

    A recording below 60 s stays whole; a longer one gets one segment per core, each of 30 to 300 s.
    """
    if duration is None:
        return LONGEST
    if duration < WHOLE_BELOW:
        return math.inf
    rounds = math.ceil(duration / (LONGEST * max(1, workers)))
    return min(LONGEST, max(SHORTEST, duration / (rounds * max(1, workers))))


class Splitter:
    """Splits a stream of blocks into segments of about `length` seconds, holding one segment at most.

    1. gather blocks until the window around the target length is full (0.8 to 1.2 of it);
    2. cut in the middle of its longest pause, or else at its quietest place with an overlap of 2.5 s;
    3. hand the segment out, keep the rest, and go on; what is left at the end is the last segment.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._held: list[NDArray[np.int16]] = []
        self._size = 0
        self._start = 0
        self._overlap = 0

    def split(self, blocks: Iterable[NDArray[np.int16]]) -> Iterator[Segment]:
        """Yield the segments of the whole stream."""
        for block in blocks:
            yield from self.feed(block)
        yield from self.finish()

    def feed(self, block: NDArray[np.int16]) -> Iterator[Segment]:
        """Add samples; yield each segment that they complete."""
        self._held.append(block)
        self._size += block.size
        while self._size - self._overlap >= (self._length * FARTHEST + OVERLAP / 2) * RATE:
            yield self._cut()

    def finish(self) -> Iterator[Segment]:
        """Yield what is left, unless all of it is in the segment before."""
        if self._size > self._overlap or self._start == 0 < self._size:
            yield self._segment(self._joined())
        self._held, self._size = [], 0

    def _cut(self) -> Segment:
        pcm = self._joined()
        nearest = self._overlap + int(self._length * NEAREST * RATE)
        farthest = self._overlap + int(self._length * FARTHEST * RATE)
        place, overlap = cut_point(pcm[nearest:farthest])
        place += nearest
        segment = self._segment(pcm[: place + overlap // 2])
        kept = pcm[place - overlap // 2 :].copy()
        self._held, self._size = [kept], kept.size
        self._start += place - overlap // 2
        self._overlap = overlap
        return segment

    def _segment(self, pcm: NDArray[np.int16]) -> Segment:
        return Segment(self._start / RATE, self._overlap / RATE, pcm)

    def _joined(self) -> NDArray[np.int16]:
        return self._held[0] if len(self._held) == 1 else np.concatenate(self._held)


def cut_point(window: NDArray[np.int16]) -> tuple[int, int]:
    """Choose where to cut within a window of samples.

    Returns:
        The sample to cut at and the samples of overlap that the cut needs: none in a pause, else 2.5 s,
        which the window's neighbourhood must have on both sides.
    """
    energy = _energy(window)
    quiet = energy < _threshold(energy)
    begin, length = _longest_run(quiet)
    if length * FRAME >= PAUSE * RATE:
        return (begin + length // 2) * FRAME, 0
    smooth = np.convolve(energy, np.ones(20) / 20, mode="valid")
    return (int(np.argmin(smooth)) + 10) * FRAME, int(OVERLAP * RATE)


def _energy(window: NDArray[np.int16]) -> NDArray[np.float64]:
    """Decibels of each 10 ms frame; digital silence counts as 0 dB."""
    frames = window[: window.size // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    decibels: NDArray[np.float64] = 10 * np.log10(np.mean(frames * frames, axis=1) + 1)
    return decibels


def _threshold(energy: NDArray[np.float64]) -> float:
    """Return the level below which a frame is a pause: a quarter of the way from the noise floor to the speech.

    Where both are alike, the window is either silence throughout or sound throughout.
    """
    floor, speech = np.percentile(energy, (5, 90))
    return float(floor + (speech - floor) / 4) if speech - floor >= CONTRAST else SILENCE


def _longest_run(quiet: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the first frame and the length of the longest run of quiet frames."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], quiet.astype(np.int8), [0]))))
    if not edges.size:
        return 0, 0
    begins, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - begins))
    return int(begins[longest]), int(ends[longest] - begins[longest])
