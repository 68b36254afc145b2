"""What is far too quiet is made louder, and nothing else."""

from collections.abc import Iterator

import numpy as np
import pytest
from tests.integration.speech.recordings import tone

from aisha.speech.loudness import BLOCK, HELD, Loudness

RANDOM = np.random.default_rng(4)
RATE = 16_000


def syllables(seconds: float, level: float = 0.3) -> np.ndarray:
    """Return a tone that comes and goes as speech does, four times a second."""
    at = np.arange(int(seconds * RATE)) / RATE
    return (tone(seconds, 300, level=1.0) / 32768 * level * (at % 0.25 < 0.15)).astype(np.float32)


def heard(*parts: np.ndarray) -> np.ndarray:
    pieces = np.array_split(np.concatenate(parts).astype(np.float32), 7)
    return np.concatenate([np.zeros(0, np.int16), *Loudness().blocks(pieces)]).astype(float) / 32768


def rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(signal**2)))


@pytest.mark.parametrize("decibels", [40, 55])
@pytest.mark.parametrize("seconds", [2.0, 80.0])
def test_speech_that_is_far_too_quiet_becomes_as_loud_as_speech(decibels: int, seconds: float) -> None:
    quiet = syllables(seconds) * 10 ** (-decibels / 20)
    assert heard(quiet).size == quiet.size
    assert 0.03 < rms(heard(quiet)) < 0.3


def test_a_few_words_in_a_minute_of_nothing_are_found() -> None:
    quiet = np.concatenate([np.zeros(40 * RATE), syllables(1.5) * 0.01, np.zeros(30 * RATE)])
    assert np.abs(heard(quiet)).max() > 0.05


def test_quiet_speech_behind_minutes_of_silence_is_found() -> None:
    quiet = np.concatenate([np.zeros(150 * RATE), syllables(5) * 0.01])
    assert np.abs(heard(quiet)[150 * RATE :]).max() > 0.05


def test_usual_speech_is_left_as_it_is_to_the_last_bit() -> None:
    speech = np.concatenate([RANDOM.normal(size=3 * RATE) * 0.001, syllables(3), syllables(3) * 0.01])
    expected = np.rint(speech.astype(np.float32) * 32768) / 32768
    np.testing.assert_array_equal(heard(speech), expected)


@pytest.mark.parametrize("level", [0, 1e-5, 1e-3])
def test_silence_and_the_hiss_of_a_microphone_are_left_as_they_are(level: float) -> None:
    hiss = RANDOM.normal(size=70 * RATE) * level
    assert rms(heard(hiss)) <= max(level * 1.05, 2e-5)


def test_a_knock_does_not_hide_that_the_rest_is_quiet() -> None:
    quiet = syllables(10) * 0.01
    quiet[:1000] = 0.9
    assert rms(heard(quiet)[RATE:]) > 0.03


def test_what_is_loud_behind_quiet_speech_is_not_clipped_for_long_and_quiet_speech_comes_back() -> None:
    result = heard(syllables(70) * 0.005, syllables(3), syllables(40) * 0.005)
    loud, late = result[71 * RATE : 73 * RATE], result[-5 * RATE :]
    assert np.mean(np.abs(loud) > 0.99) < 0.05
    assert rms(late) > 0.03


def test_blocks_are_held_back_for_a_minute_at_most() -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(10 * HELD):
            taken += 1
            yield np.zeros(BLOCK, np.float32)

    next(Loudness().blocks(endless()))
    assert taken == HELD + 1


def test_usual_speech_is_not_held_back() -> None:
    pieces = iter([syllables(0.5), np.zeros(BLOCK, np.float32)])
    assert next(Loudness().blocks(pieces)).size == BLOCK
    assert next(pieces) is not None
