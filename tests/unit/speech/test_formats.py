"""Text and subtitles from a transcript."""

import json
from itertools import pairwise

import pytest
import srt as subrip

from aisha.speech import formats
from aisha.speech.transcript import Transcript, Word


def lecture(words: int = 400) -> Transcript:
    """Return even speech with a pause after every 13th word."""
    said, now = [], 0.0
    for number in range(words):
        said.append(Word(f"word{number:03}", round(now, 2), round(now + 0.3, 2), 0.9))
        now += 0.32 if number % 13 else 1.2
    return Transcript(tuple(said), now)


def test_every_word_is_in_the_cues_once_and_in_order() -> None:
    shown = " ".join(line for cue in formats.cues(lecture()) for line in cue.lines)
    assert shown == " ".join(word.text for word in lecture().words)


def test_a_cue_has_at_most_two_lines_of_42_characters_and_lasts_six_seconds() -> None:
    for cue in formats.cues(lecture()):
        assert len(cue.lines) <= 2
        assert max(map(len, cue.lines)) <= 42
        assert cue.end - cue.start <= 6.0


def test_cues_follow_each_other_in_time() -> None:
    cues = formats.cues(lecture())
    assert all(cue.start < cue.end for cue in cues)
    assert all(before.end <= after.start for before, after in pairwise(cues))


def test_a_pause_ends_a_cue() -> None:
    words = (Word("one", 0.0, 0.3, 1.0), Word("two", 0.4, 0.7, 1.0), Word("three", 1.5, 1.9, 1.0))
    assert [cue.lines for cue in formats.cues(Transcript(words, 2.0))] == [("one two",), ("three",)]


def test_a_short_cue_stays_a_second_when_nothing_follows() -> None:
    cue = formats.cues(Transcript((Word("yes", 1.0, 1.2, 1.0),), 5.0))[0]
    assert (cue.start, cue.end) == (1.0, 2.0)


def test_a_word_of_endless_length_is_broken_to_fit() -> None:
    cue = formats.cues(Transcript((Word("a" * 60, 0.0, 20.0, 1.0),), 20.0))[0]
    assert max(map(len, cue.lines)) <= 42
    assert cue.end <= 6.0


def test_srt_is_what_other_programs_read() -> None:
    cues = formats.cues(lecture())
    read = list(subrip.parse(formats.srt(lecture())))
    assert [(cue.start.total_seconds(), cue.content) for cue in read] == [
        (pytest.approx(cue.start), "\n".join(cue.lines)) for cue in cues
    ]


def test_vtt_starts_with_its_name_and_escapes_markup() -> None:
    text = formats.vtt(Transcript((Word("<unk>&", 3661.5, 3662.0, 1.0),), 3700.0))
    assert text == "WEBVTT\n\n01:01:01.500 --> 01:01:02.500\n&lt;unk&gt;&amp;\n"


def test_json_has_the_text_and_every_word() -> None:
    value = json.loads(formats.to_json(Transcript((Word("да", 0.1, 0.4, 0.87),), 1.0)))
    assert value["text"] == "да"
    assert value["words"] == [{"word": "да", "start": 0.1, "end": 0.4, "confidence": 0.87}]


def test_json_is_one_line() -> None:
    assert formats.to_json(lecture()).count("\n") == 1


def test_text_ends_with_a_line_feed_and_nothing_is_nothing() -> None:
    assert formats.txt(Transcript((Word("yes", 0.0, 0.4, 1.0),), 1.0)) == "yes\n"
    assert [formats.txt(Transcript()), formats.srt(Transcript())] == ["", ""]
    assert formats.vtt(Transcript()) == "WEBVTT\n"
