"""What a status message and an answer say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aisha.database.messages import Transcribed
from aisha.database.outbox import Status
from aisha.deliver.answer import answer
from aisha.deliver.status import status
from aisha.settings import Settings
from aisha.texts import TEXTS, waiting

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"state": "received", "ahead": 0}, "🎧 Listening…"),
        ({"state": "received", "ahead": 3}, "⏳ In the queue, 3 ahead of you…"),
        ({"state": "stored", "ahead": 1}, "⏳ In the queue, 1 ahead of you…"),
        ({"state": "received", "ahead": 3, "no_room": True}, TEXTS["no_room"]["en"]),
        ({"state": "stored", "ahead": 0, "no_room": True}, "🎧 Listening…"),
        ({"state": "transcribing", "ahead": 9, "segments": None}, "🎧 Listening…"),
        ({"state": "transcribing", "ahead": 9, "segments": 4, "decoded": 1}, "🎧 Listening… 25 %"),
        ({"state": "transcribing", "ahead": 0, "segments": 4, "decoded": 4}, "🎧 Listening… 100 %"),
    ],
)
def test_a_status_tells_the_place_in_the_queue_and_then_the_progress(
    row: dict[str, Any], expected: str
) -> None:
    found = {
        "id": 1,
        "interface": "en",
        "no_room": False,
        "segments": None,
        "text": "",
        "shown_at": NOW,
        **row,
    }
    assert status(Status(**{"decoded": 0, **found})) == expected


def test_a_status_is_in_the_readers_language() -> None:
    assert waiting(2, "ru") == "⏳ В очереди, перед вами: 2…"


def said(**message: Any) -> str:
    row = {"interface": "en", "outcome": "speech", "text": "hello", "complete": True, "audio_seconds": 5.0}
    return answer(Transcribed(id=1, chat_id=1, message_id=1, **{**row, **message}), Settings())


def test_the_answer_to_speech_is_its_text() -> None:
    assert said() == "hello"


def test_the_answer_to_a_damaged_recording_says_how_much_of_it_was_read() -> None:
    assert said(complete=False) == "hello\n\n" + TEXTS["incomplete"]["en"].format(duration="5 s")


@pytest.mark.parametrize(
    "outcome", ["silence", "no_speech", "empty", "gone", "failed", "too_large", "too_long"]
)
def test_the_answer_to_anything_else_is_one_sentence(outcome: str) -> None:
    assert said(outcome=outcome, text=None).startswith(TEXTS[outcome]["en"].split("{")[0])
