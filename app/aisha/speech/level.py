"""How loud a recording is: statistics that are gathered block by block and add up over segments."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second of all audio inside Aisha (Hz)."""

FULL_SCALE = 32_768.0
FRAME = RATE // 100
HEARD = 10 ** (-50 / 20)
"""A 10 ms frame whose RMS is above -50 dBFS is sound; room noise of a phone's microphone lies near -60."""


@dataclass(frozen=True, slots=True)
class Level:
    """The level of a stretch of audio.

    `seconds` of audio, its `energy` (sum of squared samples over full scale squared), its `peak` (0 to 1),
    and the seconds that are `heard`, in frames above -50 dBFS.
    """

    seconds: float = 0.0
    energy: float = 0.0
    peak: float = 0.0
    heard: float = 0.0

    @classmethod
    def of(cls, pcm: NDArray[np.int16]) -> Self:
        """Measure 16 kHz mono samples."""
        samples = pcm.astype(np.float32) / FULL_SCALE
        if not samples.size:
            return cls()
        whole = samples[: samples.size // FRAME * FRAME].reshape(-1, FRAME)
        heard = int(np.count_nonzero(np.sqrt(np.mean(whole * whole, axis=1)) > HEARD)) if whole.size else 0
        energy = float(np.square(samples).sum(dtype=np.float64))
        return cls(samples.size / RATE, energy, float(np.abs(samples).max()), heard * FRAME / RATE)

    def __add__(self, other: "Level") -> "Level":
        """Return the level of both stretches together."""
        return Level(
            self.seconds + other.seconds,
            self.energy + other.energy,
            max(self.peak, other.peak),
            self.heard + other.heard,
        )

    @property
    def rms(self) -> float:
        """Root mean square over full scale: 0 to 1."""
        return float((self.energy / (self.seconds * RATE)) ** 0.5) if self.seconds else 0.0

    def to_json(self) -> list[float]:
        """Return the fields as a plain list."""
        return [self.seconds, self.energy, self.peak, self.heard]

    @classmethod
    def from_json(cls, values: list[Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(*(float(value) for value in values))


class Meter:
    """Measures the blocks that pass."""

    def __init__(self) -> None:
        self.total = Level()

    def watch(self, blocks: Iterable[NDArray[np.int16]]) -> Iterable[NDArray[np.int16]]:
        """Hand the blocks on, and add each to the total."""
        for block in blocks:
            self.total += Level.of(block)
            yield block
