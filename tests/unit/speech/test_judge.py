"""Words that the recogniser is sure of are an answer, whatever noise is around them."""

import pytest

from aisha.speech.judge import judge
from aisha.speech.level import Level
from aisha.speech.transcript import Transcript, Word

Heard = list[tuple[str, float, float]]


def verdict(words: Heard, seconds: float = 25.0) -> str:
    """Judge words (text, length, confidence), one in each second, in as many seconds of sound."""
    said = tuple(Word(text, at, at + length, sure) for at, (text, length, sure) in enumerate(words))
    return judge(Transcript(said, seconds, Level(seconds, 10.0, 0.3, seconds)))


@pytest.mark.parametrize(
    "words",
    [
        [
            ("huh", 10.0, 0.6),
            ("please", 0.3, 1.0),
            ("try", 0.3, 1.0),
            ("again", 0.4, 1.0),
            ("huh", 13.0, 0.6),
        ],
        [("try", 0.3, 0.75), ("again", 0.4, 0.8)],
        [("activated", 0.7, 1.0)],
    ],
)
@pytest.mark.parametrize("seconds", [25.0, 600.0])
def test_sure_words_are_never_thrown_away(words: Heard, seconds: float) -> None:
    assert verdict(words, seconds) == "speech"


@pytest.mark.parametrize(
    "words",
    [
        [],
        [("huh", 10.0, 1.0), ("huh", 10.0, 0.9)],
        [("yeah", 0.06, 0.53)],
        [("no", 0.4, 0.42), ("the", 0.1, 0.6), ("oh", 1.2, 0.5)],
        [("the", 0.2, 0.8), ("the", 0.2, 0.75)],
    ],
)
def test_a_few_unsure_or_endless_words_in_a_lot_of_sound_are_no_speech(words: Heard) -> None:
    assert verdict(words) == "no_speech"
