"""A jump of the timestamps is a gap only where it can be one."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from av import AudioFrame

from aisha.speech.timeline import Clock

RATE = 16_000
HOUR = 3600.0


def frame(second: float | None) -> AudioFrame:
    """Return a second of sound that says when it was."""
    made = AudioFrame.from_ndarray(np.zeros((1, RATE), np.float32), "fltp", "mono")
    made.sample_rate, made.time_base = RATE, Fraction(1, RATE)
    made.pts = None if second is None else int(second * RATE)
    return made


def gaps(
    *seconds: float | None, container: str = "matroska,webm", declared: float | None = None
) -> list[float]:
    """Return the silence before each frame."""
    stream: Any = SimpleNamespace(start_time=0, time_base=Fraction(1, RATE))
    whole: Any = SimpleNamespace(
        start_time=0,
        duration=declared and int(declared * 1_000_000),
        format=SimpleNamespace(name=container),
    )
    clock = Clock(stream, whole, declared)
    frames = [frame(second) for second in seconds]
    following = [*frames[1:], None]
    return [round(clock.gap_before(*pair)) for pair in zip(frames, following, strict=True)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((0, 1, 2), [0, 0, 0]),
        ((0, 1.3, 2.2), [0, 0, 0]),
        ((0, 31, 32), [0, 30, 0]),
        ((0, 721, 722), [0, 720, 0]),
        ((0, 721), [0, 720]),
        ((0, 2 * HOUR, 2), [0, 0, 0]),
        ((0, 20 * HOUR, 20 * HOUR + 1), [0, 0, 0]),
        ((0, 1, 0, 1), [0, 0, 0, 0]),
        ((0, None, 90), [0, 0, 88]),
    ],
    ids=["none", "jitter", "30 s", "720 s", "at the end", "one wrong", "endless", "backwards", "untold"],
)
def test_a_gap_is_silence_and_a_wrong_timestamp_is_not(
    seconds: tuple[float | None], expected: list[float]
) -> None:
    assert gaps(*seconds) == expected


def test_no_gap_leads_beyond_the_declared_end() -> None:
    assert gaps(0, 91, declared=92) == [0, 90]
    assert gaps(0, 91, declared=50) == [0, 0]


def test_a_broadcast_that_goes_on_with_another_clock_has_no_gap_of_hours() -> None:
    assert gaps(0, 2 * HOUR, 2 * HOUR + 1, container="mpegts") == [0, 0, 0]
    assert gaps(0, 721, 722, container="mpegts") == [0, 720, 0]
