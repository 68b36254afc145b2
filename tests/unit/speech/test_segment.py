"""Cutting long recordings."""

import math
from itertools import pairwise

import numpy as np
import pytest

from aisha.speech.level import RATE
from aisha.speech.segment import Segment, Splitter, target_length

RANDOM = np.random.default_rng(1)


def noise(seconds: float, level: float = 3000.0) -> np.ndarray:
    return (RANDOM.normal(size=int(seconds * RATE)) * level).astype(np.int16)


def talk(seconds: float, pause: float, every: float) -> np.ndarray:
    """Return loud noise with a quiet pause at the end of every so many seconds."""
    one = np.concatenate([noise(every - pause), noise(pause, 30.0)])
    return np.tile(one, math.ceil(seconds / every))[: int(seconds * RATE)]


def split(pcm: np.ndarray, length: float) -> list[Segment]:
    blocks = (pcm[place : place + RATE // 2] for place in range(0, pcm.size, RATE // 2))
    return list(Splitter(length).split(blocks))


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_recording_below_a_minute_stays_whole(workers: int) -> None:
    assert target_length(59.9, workers) == math.inf


def test_each_core_gets_one_segment_from_a_minute_on() -> None:
    assert target_length(60.0, 2) == 30.0
    assert target_length(240.0, 4) == 60.0


def test_segments_are_at_least_half_a_minute_and_at_most_five_minutes() -> None:
    assert target_length(60.0, 16) == 30.0
    assert target_length(3600.0, 1) == 300.0


def test_cores_end_together_when_there_are_more_segments_than_cores() -> None:
    assert 3600.0 / target_length(3600.0, 4) % 4 == pytest.approx(0.0)


def test_an_unknown_duration_is_cut_into_the_longest_segments() -> None:
    assert target_length(None, 2) == 300.0


def test_cuts_lie_within_pauses_and_overlap_nothing() -> None:
    segments = split(talk(100.0, pause=0.6, every=5.0), 30.0)
    assert [segment.overlap for segment in segments] == [0.0] * len(segments)
    for segment in segments[1:]:
        assert 4.4 <= segment.start % 5.0 <= 5.0


def test_segments_without_overlap_are_the_whole_recording() -> None:
    pcm = talk(100.0, pause=0.6, every=5.0)
    assert np.array_equal(np.concatenate([segment.pcm for segment in split(pcm, 30.0)]), pcm)


def test_without_a_pause_segments_overlap_by_what_they_say() -> None:
    pcm = noise(100.0)
    segments = split(pcm, 30.0)
    assert [segment.overlap for segment in segments] == [0.0] + [2.5] * (len(segments) - 1)
    for before, after in pairwise(segments):
        assert after.start == pytest.approx(before.start + before.duration - 2.5)
        begin = round(after.start * RATE)
        assert np.array_equal(after.pcm, pcm[begin : begin + after.pcm.size])


def test_the_longest_pause_of_the_window_is_chosen() -> None:
    pcm = noise(60.0)
    for second, pause in ((26.0, 0.4), (29.0, 0.9), (33.0, 0.5)):
        pcm[int(second * RATE) : int((second + pause) * RATE)] //= 100
    assert split(pcm, 30.0)[1].start == pytest.approx(29.45, abs=0.05)


def test_a_segment_is_as_long_as_the_window_allows() -> None:
    for pcm in (noise(500.0), talk(500.0, 0.5, 3.0), np.zeros(500 * RATE, np.int16)):
        segments = split(pcm, 60.0)
        assert max(segment.duration for segment in segments) <= 60.0 * 1.2 + 2.5
        assert min(segment.duration for segment in segments[:-1]) >= 60.0 * 0.8


def test_an_infinite_length_never_cuts() -> None:
    assert [segment.duration for segment in split(noise(20.0), math.inf)] == [20.0]


def test_nothing_is_no_segment() -> None:
    assert split(noise(0.0), 30.0) == []
