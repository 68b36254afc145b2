"""Subtitles end where a speaker pauses or a phrase ends."""

from itertools import pairwise

import pytest

from aisha.speech.cues import LEANING, cues
from aisha.speech.transcript import Transcript, Word

SENTENCES = (
    "and mister john dashwood had then leisure to consider how much there might prudently be in his power to do for"
    " them",
    "he was not an ill disposed young man unless to be rather cold hearted and rather selfish is to be ill disposed",
    "had he married a more amiable woman he might have been made still more respectable than he was",
    "если вы хотите оставить сообщение для нашего отдела говорите после сигнала и потом нажмите на решётку",
)


def spoken(text: str, pauses: dict[str, float] | None = None, seconds: float = 0.35) -> Transcript:
    """Return words of even length, with pauses behind some of them."""
    now, words = 0.0, []
    for word in text.split():
        words.append(Word(word, round(now, 2), round(now + seconds, 2), 1.0))
        now += seconds + (pauses or {}).get(word, 0.0)
    return Transcript(tuple(words), now)


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("seconds", [0.2, 0.35, 0.5])
def test_no_cue_or_line_ends_behind_a_word_that_leans_on_the_next(text: str, seconds: float) -> None:
    shown = cues(spoken(text, seconds=seconds))
    assert len(shown) > 1
    ends = [line.split()[-1] for cue in shown for line in cue.lines][:-1]
    assert [word for word in ends if word in LEANING] == []


def test_a_phrase_is_not_torn_apart() -> None:
    shown = " / ".join(" ".join(cue.lines) for cue in cues(spoken(SENTENCES[0])))
    assert "how much there might" in shown


def test_a_pause_is_worth_more_than_an_even_length() -> None:
    shown = cues(spoken(SENTENCES[2], {"woman": 0.4}))
    assert shown[0].lines[-1].endswith("woman")


@pytest.mark.parametrize("text", [*SENTENCES, " ".join(SENTENCES), "word " * 300, "и " * 200])
def test_cues_keep_the_limits_of_the_trade_and_every_word(text: str) -> None:
    transcript = spoken(text)
    shown = cues(transcript)
    assert " ".join(line for cue in shown for line in cue.lines).split() == text.split()
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= 42 for cue in shown)
    assert all(0 < cue.end - cue.start <= 6.0 for cue in shown)
    assert all(before.end <= after.start for before, after in pairwise(shown))


def test_a_cue_stays_long_enough_to_be_read_when_there_is_room() -> None:
    (cue,) = cues(spoken("congratulations everybody congratulations", seconds=0.3))
    assert cue.end == pytest.approx(41 / 17, abs=0.01)


def test_a_single_word_is_no_cue_of_its_own_in_the_middle_of_speech() -> None:
    shown = cues(spoken(" ".join(SENTENCES[:3])))
    assert min(len(" ".join(cue.lines).split()) for cue in shown) > 2
