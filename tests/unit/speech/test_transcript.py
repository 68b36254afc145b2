"""Words, their joining by time, and their text."""

import json

from aisha.speech.level import Level
from aisha.speech.transcript import Part, Transcript, Word, join


def said(text: str, start: float = 0.0, each: float = 0.4, gap: float = 0.1) -> tuple[Word, ...]:
    """Return words one after another."""
    words = []
    for word in text.split():
        words.append(Word(word, round(start, 3), round(start + each, 3), 1.0))
        start += each + gap
    return tuple(words)


def texts(transcript: Transcript) -> str:
    return " ".join(word.text for word in transcript.words)


def test_a_transcript_survives_json() -> None:
    transcript = Transcript(said("one two"), 1.5, Level(1.5, 0.25, 0.9, 1.0))
    assert Transcript.from_json(json.loads(json.dumps(transcript.to_json()))) == transcript


def test_parts_are_joined_by_time_whatever_their_order() -> None:
    first, second = Transcript(said("one two"), 30.0), Transcript(said("three four"), 20.0)
    joined = join([Part(30.0, 0.0, second), Part(0.0, 0.0, first)])
    assert texts(joined) == "one two three four"
    assert joined.words[2].start == 30.0
    assert joined.duration == 50.0


def test_words_within_an_overlap_appear_once() -> None:
    spoken = said("a b c d e f g h i j")
    left = Transcript(spoken[:7], 3.5)
    right = Transcript(tuple(word.shifted(-1.5) for word in spoken[3:]), 3.5)
    assert texts(join([Part(0.0, 0.0, left), Part(1.5, 2.0, right)])) == "a b c d e f g h i j"


def test_a_word_astride_the_seam_appears_once_when_both_sides_keep_it() -> None:
    left = Transcript((Word("hello", 9.0, 9.4, 1.0), Word("world", 9.6, 10.3, 1.0)), 11.0)
    right = Transcript((Word("world", 0.75, 1.35, 1.0), Word("again", 1.5, 1.9, 1.0)), 3.0)
    assert texts(join([Part(0.0, 0.0, left), Part(9.0, 2.0, right)])) == "hello world again"


def test_a_word_astride_the_seam_is_not_lost_when_neither_side_keeps_it() -> None:
    left = Transcript((Word("hello", 9.0, 9.4, 1.0), Word("world", 9.8, 10.3, 1.0)), 11.0)
    right = Transcript((Word("world", 0.6, 1.3, 1.0), Word("again", 1.5, 1.9, 1.0)), 3.0)
    assert texts(join([Part(0.0, 0.0, left), Part(9.0, 2.0, right)])) == "hello world again"


def test_a_word_said_twice_at_the_seam_stays_twice() -> None:
    left = Transcript((Word("no", 9.0, 9.3, 1.0), Word("no", 9.9, 10.3, 1.0)), 11.0)
    right = Transcript((Word("no", 0.0, 0.3, 1.0), Word("no", 0.9, 1.3, 1.0)), 3.0)
    assert texts(join([Part(0.0, 0.0, left), Part(9.0, 2.0, right)])) == "no no"


def test_levels_of_parts_add_up() -> None:
    parts = [Part(0.0, 0.0, Transcript((), 1.0, Level(1.0, 2.0, 0.5, 0.25))) for _ in range(3)]
    assert join(parts).level == Level(3.0, 6.0, 0.5, 0.75)


def test_nothing_joins_to_nothing() -> None:
    assert join([]) == Transcript()


def test_a_long_pause_starts_a_paragraph_in_a_recording_of_a_minute() -> None:
    words = said("one two") + said("three", start=5.0)
    assert Transcript(words, 60.0).text() == "one two\n\nthree"


def test_a_short_recording_is_one_paragraph() -> None:
    words = said("one two") + said("three", start=5.0)
    assert Transcript(words, 59.9).text() == "one two three"
