"""Makes one channel of several, without losing a voice that two of them carry upside down."""

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""From -1 to 1: mono, or one row for each channel."""

FRAMES = 10
"""A choice holds for a tenth of a second at least: a channel's first words are not lost to the choice before."""

FADE = 100
"""Choices are faded from one to the other within a hundredth of a second."""

TOO_MANY_PLANES = 8
"""Channels. PyAV reads beyond the planes of a frame that has so many, into memory that is not its own."""

SPEAKERS = re.compile(r"^\d+ channels \((.*)\)$")
"""How FFmpeg describes a layout that has no name, and what it reads of that."""

CANCELLED, DROWNED = 0.5, 0.02
"""The mix is dropped where it has less than half the energy that independent channels would leave, or less than a
fiftieth of the loudest channel's."""

LOUDER = 4.0
"""Times the energy that another channel must have before it takes the place of the chosen one."""


class Mixer:
    """Mixes pieces of one rate and layout into mono.

    1. The layout's standard mix is right for almost every recording.
    2. Where its channels cancel each other (one is inverted, a balanced line was split), the loudest one is taken.
    3. A channel that was taken stays, as it also has what the others have in common, until another is louder.
    """

    def __init__(self, layout: str, channels: int, rate: int) -> None:
        self._weights = mixing_weights(layout, channels)
        self._frame = max(rate // FRAMES, 1)
        self._fade = np.linspace(0, 1, max(rate // FADE, 1), dtype=np.float32)
        self._chosen: int | None = None

    def mix(self, piece: Samples) -> Samples:
        """Return the mono signal of a piece of the shape (channels, samples)."""
        if len(piece) == 1:
            mono: Samples = piece[0]
            return mono
        mixed: Samples = self._weights @ piece
        edges = np.arange(0, mixed.size, self._frame)
        own, energy = _energy(piece, edges), _energy(mixed[None], edges)[0]
        cancelled = (energy < CANCELLED * (self._weights**2 @ own)) | (energy < DROWNED * own.max(axis=0))
        if self._chosen is None and not cancelled.any():
            return mixed
        return self._joined(piece, mixed, edges, self._choices(own, cancelled))

    def _choices(self, own: Samples, cancelled: NDArray[np.bool_]) -> list[int | None]:
        """Return what is taken before and in each frame: a channel, or None for the mix."""
        choices = [self._chosen]
        for energies, cancels in zip(own.T, cancelled, strict=True):
            chosen, loudest = choices[-1], int(energies.argmax())
            if chosen is None or energies[loudest] > LOUDER * energies[chosen]:
                chosen = loudest if cancels else None
            choices.append(chosen)
        self._chosen = choices[-1]
        return choices

    def _joined(
        self, piece: Samples, mixed: Samples, edges: NDArray[np.int_], choices: list[int | None]
    ) -> Samples:
        def signal(choice: int | None) -> Samples:
            return mixed if choice is None else piece[choice]

        result = np.empty_like(mixed)
        for begin, before, now in zip(edges, choices, choices[1:], strict=False):
            part = slice(begin, begin + self._frame)
            result[part] = signal(now)[part]
            if now != before:
                faded = slice(begin, min(begin + self._fade.size, mixed.size))
                old, new = signal(before)[faded], signal(now)[faded]
                result[faded] = old + (new - old) * self._fade[: old.size]
        return result


class Reader:
    """Reads decoded frames of one format and layout as arrays."""

    def __init__(self, like: AudioFrame) -> None:
        channels = like.layout.nb_channels
        self._packing = _packing(like) if like.format.is_planar and channels >= TOO_MANY_PLANES else None

    def samples(self, frame: AudioFrame, longest: int) -> Iterator[Samples]:
        """Yield a frame in pieces of the shape (channels, samples)."""
        if self._packing:
            self._packing.push(frame)
            frame = cast("AudioFrame", self._packing.pull())
        array = frame.to_ndarray()
        if not frame.format.is_planar:
            array = array.reshape(-1, frame.layout.nb_channels).T
        for begin in range(0, array.shape[1], longest):
            yield _scaled(array[:, begin : begin + longest])


def _packing(like: AudioFrame) -> Graph:
    """Return a filter that interleaves channels."""
    graph = Graph()
    layout = SPEAKERS.sub(r"\1", like.layout.name)
    time_base = like.time_base or Fraction(1, like.sample_rate)
    source = graph.add_abuffer(None, like.sample_rate, like.format, layout, None, time_base=time_base)
    packed = graph.add("aformat", "sample_fmts=flt")
    sink = graph.add("abuffersink")
    source.link_to(packed)
    packed.link_to(sink)
    graph.configure()
    return graph


def _scaled(array: NDArray[Any]) -> Samples:
    if array.dtype.kind == "f":
        return np.nan_to_num(array.astype(np.float32), posinf=0, neginf=0)
    middle = 128 if array.dtype.kind == "u" else 0
    full_scale = middle or -float(np.iinfo(array.dtype).min)
    return (array.astype(np.float32) - np.float32(middle)) / np.float32(full_scale)


@cache
def mixing_weights(layout: str, channels: int) -> Samples:
    """Return each channel's part in FFmpeg's mix to mono; equal parts in a layout that has no name there."""
    try:
        one_each = np.eye(channels, dtype=np.float32).reshape(1, -1)
        frame = AudioFrame.from_ndarray(one_each, "flt", layout)
        frame.sample_rate = 48_000
        mixed = AudioResampler("fltp", "mono").resample(frame)
        weights = np.concatenate([part.to_ndarray()[0] for part in mixed])
    except (av.FFmpegError, ValueError):
        weights = np.zeros(0, np.float32)
    if weights.size != channels:
        weights = np.full(channels, 1 / channels, np.float32)
    normal: Samples = (weights / max(1.0, float(np.abs(weights).sum()))).astype(np.float32)
    return normal  # whose sum is not clipped


def _energy(signals: Samples, edges: NDArray[np.int_]) -> Samples:
    """Return each signal's energy from each edge to the next; rumble and hum, which are below speech, count little."""
    slope = np.diff(signals, axis=1, prepend=signals[:, :1])
    return np.add.reduceat(slope * slope, edges, axis=1)
