"""What a status message and an answer say."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from aisha import texts
from aisha.database.messages import Transcribed
from aisha.database.outbox import Status
from aisha.deliver.answer import answer
from aisha.deliver.forecast import Outlook, Workers
from aisha.deliver.status import Queue, Statuses, changes
from aisha.settings import Settings
from aisha.texts import TEXTS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKERS = Workers(shared=2, short_only=1, depth=4, pace={"short": 0.5, "long": 0.1})


def status(message: int = 1, **row: Any) -> Status:
    found = {
        "state": "stored",
        "no_room": False,
        "text": "",
        "seconds": None,
        "decoded": 0.0,
        "running": [],
        "interface": "en",
    }
    return Status(**{"id": message, "chat_id": 1, "user_id": 1, "shown_at": NOW, **found, **row})


def queue(ahead: int = 0, ends: float = 30, first: bool = True) -> Queue:
    return Queue(WORKERS, {1: Outlook(ahead, 0, ends)}, {1} if first else set())


@pytest.mark.parametrize(
    ("row", "told", "expected"),
    [
        ({}, queue(3, 125), "⏳ In the queue, 3 ahead of you, about 2 min left…"),
        ({"interface": "ru"}, queue(3), "⏳ В очереди, перед вами: 3, осталось около 30 с…"),
        ({}, queue(0, 12.4), "⏳ Next in the queue, about 12 s left…"),
        ({}, queue(3, first=False), "⏳ In the queue, after your other recordings…"),
        ({"state": "received"}, queue(1), "⏳ In the queue, 1 ahead of you, about 30 s left…"),
        ({}, Queue(WORKERS, {}, set()), "⏳ In the queue…"),
        ({"state": "transcribing"}, queue(), "🎧 Listening…"),
        ({"state": "transcribing", "seconds": 400.0}, queue(), "🎧 Listening… 0 %, about 30 s left"),
        ({"state": "transcribing", "seconds": 400.0, "decoded": 100.0}, queue(),
         "🎧 Listening… 25 %, about 30 s left"),
        ({"state": "transcribing", "seconds": 400.0, "decoded": 100.0, "running": [[100.0, 5.0, "long"]]}, queue(),
         "🎧 Listening… 37 %, about 30 s left"),
        ({"state": "transcribing", "seconds": 40.0, "running": [[40.0, 10.0, "short"]]}, queue(),
         "🎧 Listening… 50 %, about 30 s left"),
        ({"state": "transcribing", "seconds": 100.0, "running": [[100.0, 500.0, "long"]]}, queue(),
         "🎧 Listening… 95 %, about 30 s left"),
        ({"state": "transcribing", "running": [[None, 5.0, "short"]]}, queue(), "🎧 Listening…"),
        ({"state": "transcribing", "decoded": 90.0}, queue(), "🎧 Listening… 1 min 30 s so far"),
        ({"state": "received", "no_room": True}, queue(3), texts.say("no_room", "en")),
        ({"no_room": True}, queue(3), "⏳ In the queue, 3 ahead of you, about 30 s left…"),
    ],
)  # fmt: skip
def test_a_status_tells_the_place_in_the_queue_and_then_the_progress(
    row: dict[str, Any], told: Queue, expected: str
) -> None:
    assert Statuses().text(status(**row), told) == expected


def test_a_number_that_was_told_never_goes_back() -> None:
    statuses = Statuses()
    places = [statuses.text(status(), queue(ahead)) for ahead in (4, 6, 3, 5, 0)]
    assert [re.findall(r"(\d+) ahead|(Next)", text) for text in places] == [
        [("4", "")], [("4", "")], [("3", "")], [("3", "")], [("", "Next")]
    ]  # fmt: skip
    row = {"state": "transcribing", "seconds": 100.0}
    shares = [statuses.text(status(**row, decoded=decoded), queue()) for decoded in (50.0, 40.0, 60.0)]
    assert [re.findall(r"\d+ %", text)[0] for text in shares] == ["50 %", "50 %", "60 %"]


def test_a_chat_gets_one_change_at_a_time_and_figures_go_first() -> None:
    behind, place = texts.say("behind", "en"), texts.waiting(1, 20, "en")
    rows = [
        (status(1), behind),
        (status(2), place),
        (status(3, text=place), place),
        (status(4, chat_id=2), behind),
    ]
    assert [row.id for row, _ in changes(rows)] == [2, 4]


def said(**message: Any) -> str:
    row = {"interface": "en", "outcome": "speech", "text": "hello", "complete": True, "audio_seconds": 5.0}
    row |= {"kind": "voice", "track": None, "tracks": None}
    return answer(Transcribed(id=1, chat_id=1, message_id=1, **{**row, **message}), Settings())


def test_the_answer_to_speech_is_its_text() -> None:
    assert said() == "hello"


def test_the_answer_to_a_damaged_recording_says_how_much_of_it_was_read() -> None:
    assert said(complete=False) == "hello\n\n" + TEXTS["incomplete"]["en"].format(duration="5 s")


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("voice", "shorter ones"),
        ("video", "its sound alone"),
        ("audio", "bit rate"),
        ("document", "bit rate"),
    ],
)
def test_the_advice_about_a_large_file_fits_its_kind(kind: str, advice: str) -> None:
    text = said(outcome="too_large", text=None, kind=kind)
    assert advice in text
    assert "as a voice message" not in text


@pytest.mark.parametrize(
    "outcome", ["silence", "no_speech", "empty", "gone", "failed", "too_large", "too_long"]
)
def test_the_answer_to_anything_else_is_one_sentence(outcome: str) -> None:
    assert said(outcome=outcome, text=None, kind="audio").startswith(TEXTS[outcome]["en"].split("{")[0])


def test_the_answer_says_that_there_are_other_tracks() -> None:
    note = TEXTS["other_tracks"]["en"].format(track=2, tracks=3)
    assert said(track=2, tracks=3) == f"hello\n\n{note}"
    assert said(outcome="no_speech", text=None, track=2, tracks=3).endswith(note)
    assert note not in said(outcome="silence", text=None, track=1, tracks=3)
