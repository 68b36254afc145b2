"""Brings a recording that is far too quiet to the loudness of speech, before it is rounded to 16 bits."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from aisha.speech.channels import Samples
from aisha.speech.level import FULL_SCALE, RATE

BLOCK = RATE // 2
FRAME = RATE // 20
"""Loudness is measured in frames of 50 ms."""

QUIET, NOTHING = -46.0, -85.0
"""dBFS of a frame. Speech that nobody would call quiet exceeds the first; what codecs make of silence does not exceed
the second."""

LOUD_FRAMES = 6
"""So many frames (0.3 s) are what a recording's loudness is measured by; a knock on the microphone is shorter."""

CONTRAST = 9.0
"""Decibels by which speech exceeds its pauses at least; the hiss of an open microphone is always the same."""

WANTED, LARGEST_GAIN = -23.0, 60.0
HELD = 60 * 2
"""Blocks that are held back at most until the gain is decided; usually it is with the first."""

KNOCK = 2
"""Frames; what is loud for no longer is clipped and does not lower the gain."""

RECOVERY = 10 ** (2 / 20)
"""The gain's growth in each block after something loud has lowered it."""


class Loudness:
    """Turns mono samples at 16 kHz into blocks of half a second of int16.

    1. Blocks are held back until 0.3 s are as loud as usual speech, which most often is in the first block: then
       nothing is changed, now or later.
    2. After a minute of less, or at the end, a gain is decided by the loudest 0.3 s if it stands out like speech.
    3. Where it does not, the oldest block goes out as it is: silence and hiss are not made louder.
    4. What would be too loud with the gain lowers it for a while.
    """

    def __init__(self) -> None:
        self._rest: list[Samples] = []
        self._size = 0
        self._held: list[Samples] = []
        self._levels: list[NDArray[np.float64]] = []
        self._wanted: float | None = None
        self._gain = 1.0

    def blocks(self, pieces: Iterable[Samples]) -> Iterator[NDArray[np.int16]]:
        """Take pieces of any size; yield blocks, the last of which may be shorter."""
        for piece in pieces:
            self._rest.append(piece)
            self._size += piece.size
            if self._size >= BLOCK:
                yield from self._whole()
        if self._size:
            yield from self._take(np.concatenate(self._rest))
        yield from self._decided(_gain(self._levels) or 1.0)

    def _whole(self) -> Iterator[NDArray[np.int16]]:
        joined = np.concatenate(self._rest)
        end = joined.size // BLOCK * BLOCK
        self._rest, self._size = [joined[end:].copy()], joined.size - end
        for block in joined[:end].reshape(-1, BLOCK):
            yield from self._take(block)

    def _take(self, block: Samples) -> Iterator[NDArray[np.int16]]:
        if self._wanted is not None:
            yield self._raised(block)
            return
        self._held.append(block)
        self._levels.append(_levels(block))
        if sum(int((levels > QUIET).sum()) for levels in self._levels) >= LOUD_FRAMES:
            yield from self._decided(1.0)
        elif len(self._held) > HELD:
            if gain := _gain(self._levels):
                yield from self._decided(gain)
            else:
                self._levels.pop(0)
                yield _rounded(self._held.pop(0))

    def _decided(self, gain: float) -> Iterator[NDArray[np.int16]]:
        self._wanted = self._gain = gain
        held, self._held, self._levels = self._held, [], []
        for block in held:
            yield self._raised(block)

    def _raised(self, block: Samples) -> NDArray[np.int16]:
        assert self._wanted is not None
        if self._wanted == 1.0:
            return _rounded(block)
        before = self._gain
        levels = np.sort(_levels(block))
        loudest = 10 ** (float(levels[:-KNOCK].max(initial=NOTHING)) / 20)
        fitting = max(1.0, 10 ** (WANTED / 20) * 4 / loudest)
        self._gain = min(self._wanted, before * RECOVERY, fitting)
        ramp = np.full(block.size, self._gain, np.float32)
        begin = min(FRAME, block.size)
        ramp[:begin] = np.linspace(before, self._gain, begin)
        return _rounded(block * ramp)


def _rounded(block: Samples) -> NDArray[np.int16]:
    whole: NDArray[np.int16] = np.rint(block * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
    return whole


def _levels(block: Samples) -> NDArray[np.float64]:
    """Return the dBFS of each whole frame."""
    frames = block[: block.size // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    return np.asarray(10 * np.log10(np.mean(frames * frames, axis=1) + 1e-12))


def _gain(levels: list[NDArray[np.float64]]) -> float | None:
    """Return the factor that makes what was measured as loud as speech; None if it is not quiet speech."""
    ordered = np.sort(np.concatenate([*levels, np.zeros(0)]))
    if not ordered.size:
        return None
    loud, pause = ordered[-min(LOUD_FRAMES, ordered.size)], ordered[ordered.size // 10]
    if not NOTHING < loud <= QUIET or loud - pause < CONTRAST:
        return None
    return float(10 ** (min(WANTED - loud, LARGEST_GAIN) / 20))
