"""Several channels become one without losing a voice."""

import av
import numpy as np
import pytest
from tests.integration.speech.recordings import tone

from aisha.speech.channels import Mixer, Reader, mixing_weights

RATE = 16_000
VOICE = tone(2.0, 300).astype(np.float32) / 32768
OTHER = tone(2.0, 700).astype(np.float32) / 32768
NOISE = np.random.default_rng(3).normal(size=(8, VOICE.size)).astype(np.float32) * 0.01
NONE = np.zeros_like(VOICE)


def mixed(*channels: np.ndarray, layout: str = "stereo", pieces: int = 4) -> np.ndarray:
    """Mix in several pieces, as a stream comes."""
    mixer = Mixer(layout, len(channels), RATE)
    return np.concatenate([mixer.mix(piece) for piece in np.array_split(np.stack(channels), pieces, axis=1)])


def strength(signal: np.ndarray, voice: np.ndarray = VOICE) -> float:
    """Return how much of a voice there is in a signal."""
    return abs(float(np.dot(signal, voice) / np.dot(voice, voice)))


@pytest.mark.parametrize("part", [-1.0, -0.9, -0.5])
@pytest.mark.parametrize("noise", [0, 1])
def test_a_channel_that_is_another_upside_down_does_not_cancel_it(part: float, noise: int) -> None:
    assert strength(mixed(VOICE + NOISE[0] * noise, VOICE * part + NOISE[1] * noise)) > 0.9


def test_a_voice_in_the_middle_is_the_mean_to_the_last_bit() -> None:
    left, right = VOICE + NOISE[0], VOICE + NOISE[1]
    np.testing.assert_array_equal(mixed(left, right), np.float32(0.5) * left + np.float32(0.5) * right)


@pytest.mark.parametrize("channel", range(6))
def test_a_voice_in_any_one_channel_is_heard(channel: int) -> None:
    channels = [NONE] * 6
    channels[channel] = VOICE
    assert strength(mixed(*channels, layout="5.1")) > 0.14


def test_two_voices_each_in_a_channel_of_its_own_are_both_heard() -> None:
    both = mixed(VOICE, OTHER)
    assert min(strength(both), strength(both, OTHER)) > 0.45


def test_voices_that_take_turns_upside_down_and_upright_lose_nothing() -> None:
    turns = np.repeat([1, -1, 1, -1], VOICE.size // 4).astype(np.float32)
    result = mixed(VOICE, VOICE * turns, pieces=3)
    quarters = zip(np.split(result, 4), np.split(VOICE, 4), strict=True)
    assert min(strength(part, voice) for part, voice in quarters) > 0.9


def test_a_change_of_the_choice_does_not_click() -> None:
    upright = np.arange(VOICE.size) < VOICE.size * 0.53
    result = mixed(VOICE, np.where(upright, VOICE, -VOICE))
    assert np.abs(np.diff(result)).max() < 2 * np.abs(np.diff(VOICE)).max()


def test_a_layout_without_a_name_is_mixed_in_equal_parts() -> None:
    layout = "5 channels (FL+FR+FC+LFE+BL)"
    assert mixing_weights(layout, 5).tolist() == pytest.approx([0.2] * 5)
    assert strength(mixed(*[VOICE] * 5, layout=layout)) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("kind", ["u8", "s16", "s32", "flt", "dbl", "u8p", "s16p", "s32p", "fltp", "dblp"])
def test_every_sample_format_is_read_on_the_same_scale(kind: str) -> None:
    source = av.AudioFrame.from_ndarray(np.stack([VOICE, OTHER]), "fltp", "stereo")
    source.sample_rate = RATE
    (frame,) = av.AudioResampler(kind, "stereo", RATE).resample(source)
    pieces = list(Reader(frame).samples(frame, 10_000))
    assert [piece.shape[1] for piece in pieces] == [10_000, 10_000, 10_000, 2_000]
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), [VOICE, OTHER], atol=0.01)


def test_what_is_no_number_is_silence() -> None:
    frame = av.AudioFrame.from_ndarray(np.array([[np.nan, np.inf, 0.5]], np.float32), "fltp", "mono")
    (piece,) = Reader(frame).samples(frame, 10)
    assert piece.tolist() == [[0.0, 0.0, 0.5]]
