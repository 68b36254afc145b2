"""Speech is told from music, noise and silence, on what the real model hears."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.speech import ALLISON, Clip, cards, librivox, prompts

from aisha.speech.audio import blocks
from aisha.speech.engine import Recogniser
from aisha.speech.judge import judge
from aisha.speech.level import RATE

RANDOM = np.random.default_rng(5)
SCALE = (261.6, 293.7, 329.6, 349.2, 392.0, 440.0, 493.9, 523.3)
SPEECH = [*librivox()[1:3], *cards()[:2], *prompts()[::32]]
SINGLE_WORDS = [Clip(ALLISON / f"{name}.wav") for name in ("hours", "goodbye", "activated", "vm-message")]


def samples(clip: Clip) -> np.ndarray:
    return np.concatenate(list(blocks(clip.path))).astype(float)


def noisy(pcm: np.ndarray) -> np.ndarray:
    """Add white noise 10 dB below the speech."""
    return pcm + RANDOM.normal(size=pcm.size) * np.sqrt(np.mean(pcm**2)) * 10 ** (-10 / 20)


def narrow(pcm: np.ndarray) -> np.ndarray:
    """Keep what an old telephone carries: 300 to 3400 Hz."""
    spectrum = np.fft.rfft(pcm)
    hertz = np.fft.rfftfreq(pcm.size, 1 / RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum, pcm.size)


def verdict(warm: Recogniser, pcm: np.ndarray) -> str:
    return judge(warm.decode([np.clip(pcm, -32768, 32767).astype(np.int16)]))


def time(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * RATE)) / RATE


def melody(seconds: float, instrument: Callable[[float, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return a tune over chords and drums."""
    song = np.zeros(int((seconds + 4) * RATE))
    beats = np.arange(0.0, seconds, 0.27)
    for number, begin in enumerate(beats):
        place = int(begin * RATE)
        note = instrument(RANDOM.choice(SCALE), time(0.5))
        drum = RANDOM.normal(size=RATE // 4) * np.exp(-18 * time(0.25)) * (number % 4 == 2)
        kick = np.sin(2 * np.pi * 60 * time(0.25)) * np.exp(-8 * time(0.25)) * (number % 4 == 0)
        song[place : place + note.size] += 0.6 * note
        song[place : place + drum.size] += 0.8 * (drum + kick)
        if number % 8 == 0:
            root = RANDOM.choice(SCALE[:5]) / 2
            song[place : place + 2 * RATE] += sum(
                0.15 * organ(root * third, time(2)) for third in (1, 1.26, 1.5)
            )
    return song[: int(seconds * RATE)]


def organ(hertz: float, at: np.ndarray) -> np.ndarray:
    return sum(np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 6)) * np.minimum(1, 20 * at)


def bell(hertz: float, at: np.ndarray) -> np.ndarray:
    return sum(np.sin(2 * np.pi * hertz * k * at) * np.exp(-3 * at) for k in (1, 2.76, 5.4, 8.9))


def bowed(hertz: float, at: np.ndarray) -> np.ndarray:
    waver = 2 * np.sin(2 * np.pi * 5.5 * at)
    return sum(np.sin(2 * np.pi * hertz * k * at + k * waver) / k**1.2 for k in range(1, 9))


def sawtooth(hertz: float, at: np.ndarray) -> np.ndarray:
    return (2 * (hertz * at % 1) - 1) * np.exp(-at)


NO_SPEECH = {
    "organ": melody(8, organ),
    "bells": melody(8, bell),
    "strings": melody(8, bowed),
    "synthesizer": melody(8, sawtooth),
    "white noise": RANDOM.normal(size=10 * RATE),
    "rumble": np.cumsum(RANDOM.normal(size=8 * RATE)) * np.tile([1, 1], 4 * RATE),
    "sweep": np.sin(2 * np.pi * (50 * time(8) + 300 * time(8) ** 2)),
    "ringing": (np.sin(2 * np.pi * 440 * time(8)) + np.sin(2 * np.pi * 480 * time(8))) * (time(8) % 4 < 2),
    "mains hum": sum(np.sin(2 * np.pi * 50 * k * time(5)) / k for k in range(1, 9)),
    "beeps": np.sin(2 * np.pi * 1000 * time(5)) * (time(5) % 1 < 0.1),
}


@pytest.mark.parametrize("clip", SPEECH + SINGLE_WORDS, ids=lambda clip: clip.path.stem[-14:])
def test_speech_is_speech_clean_noisy_quiet_and_over_a_telephone(clip: Clip, warm: Recogniser) -> None:
    pcm = samples(clip)
    assert verdict(warm, pcm) == "speech"
    assert verdict(warm, noisy(pcm)) == "speech"
    assert verdict(warm, pcm * 0.03) == "speech"
    assert verdict(warm, narrow(pcm)) == "speech"


@pytest.mark.parametrize("name", NO_SPEECH)
def test_music_and_noise_are_no_speech(name: str, warm: Recogniser) -> None:
    sound = NO_SPEECH[name] - NO_SPEECH[name].mean()
    assert verdict(warm, sound / np.abs(sound).max() * 16_000) == "no_speech"


def test_monkeys_are_no_speech(warm: Recogniser) -> None:
    assert verdict(warm, samples(Clip(ALLISON / "tt-monkeys.wav"))) == "no_speech"


def test_nothing_and_the_hiss_of_a_microphone_are_silence(warm: Recogniser) -> None:
    assert verdict(warm, np.zeros(5 * RATE)) == "silence"
    assert verdict(warm, RANDOM.normal(size=5 * RATE) * 30) == "silence"


def test_a_fifth_of_a_second_is_too_short(warm: Recogniser) -> None:
    assert verdict(warm, RANDOM.normal(size=RATE // 5) * 3000) == "too_short"
