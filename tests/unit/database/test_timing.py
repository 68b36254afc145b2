"""The times of words: with the text they give back what was recognised, in few bytes."""

import random
from typing import Any

import pytest

from aisha.database.messages import transcribed
from aisha.database.timing import pack, unpack
from aisha.speech import formats
from aisha.speech.transcript import Transcript, Word

VOCABULARY = [
    "the",
    "a",
    "of",
    "voice",
    "message",
    "wednesday",
    "and",
    "recording",
    "сообщение",
    "и",
    "голос",
]


def spoken(count: int, seed: int = 1) -> Transcript:
    """Words as the recogniser times them: in frames of 30 ms, most of them sure, pauses now and then."""
    chance, words, now = random.Random(seed), [], 12
    for _ in range(count):
        now += chance.choice([0, 0, 0, 0, 1, 3, 12, 80])
        length, sure = chance.randrange(3, 22), chance.choice([1.0, 1.0, 1.0, round(chance.random(), 6)])
        words.append(
            Word(chance.choice(VOCABULARY), round(now * 0.03, 2), round((now + length) * 0.03, 2), sure)
        )
        now += length
    return Transcript(tuple(words), now * 0.03 + 1)


def listed(transcript: Transcript) -> list[Any]:
    return transcript.to_json()["words"]


def read_back(transcript: Transcript) -> Transcript:
    text = transcript.text()
    times = pack(text, listed(transcript))
    assert times is not None
    return Transcript(tuple(Word(*word) for word in unpack(text, times)), transcript.duration)


@pytest.mark.parametrize("count", [1, 12, 2000])
def test_words_come_back_with_their_times_to_a_hundredth(count: int) -> None:
    said = spoken(count)
    again = read_back(said)
    assert [(w.text, w.start, w.end) for w in again.words] == [(w.text, w.start, w.end) for w in said.words]
    assert all(
        abs(a.confidence - w.confidence) <= 0.005 for a, w in zip(again.words, said.words, strict=True)
    )


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_can_be_made_of_what_is_kept(form: str) -> None:
    said = spoken(300)
    assert formats.WRITERS[form](read_back(said)) == formats.WRITERS[form](said)


def test_words_that_overlap_or_are_out_of_order_come_back() -> None:
    words = [["one", 1.0, 2.0, 1.0], ["two", 1.9, 1.95, 0.5], ["three", 0.0, 900.0, 0.0]]
    times = pack("one two three", words)
    assert times is not None
    assert unpack("one two three", times) == words


@pytest.mark.parametrize(("count", "most"), [(12, 0.5), (150, 0.45), (5000, 0.45)])
def test_times_take_less_than_half_of_the_text(count: int, most: float) -> None:
    said = spoken(count)
    times = pack(said.text(), listed(said))
    assert times is not None
    assert len(times) <= most * len(said.text().encode())


def test_times_of_other_words_are_not_kept() -> None:
    assert pack("another text", [["one", 0.0, 1.0, 1.0]]) is None


def test_a_text_is_kept_once_and_no_text_has_no_times() -> None:
    said = spoken(5)
    kept = transcribed(1, "speech", text=said.text(), words=listed(said)).values
    assert set(kept) == {"id", "outcome", "text", "times", "seconds", "complete", "error"}
    assert transcribed(1, "silence", text="", words=[]).values["times"] is None
