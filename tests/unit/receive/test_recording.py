"""What counts as a recording, and what is rejected without a download."""

from typing import Any

import pytest
from aiogram.types import Message

from aisha.receive.inbox import _position
from aisha.receive.recording import Recording, recording_of
from aisha.receive.recordings import refusal_of
from aisha.settings import MIB, Settings

FILE = {"file_id": "f", "file_unique_id": "u"}


def message(**content: Any) -> Message:
    chat = {"id": 5, "type": "private"}
    return Message.model_validate({"message_id": 1, "date": 0, "chat": chat, **content})


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"voice": {**FILE, "duration": 1}}, "voice"),
        ({"audio": {**FILE, "duration": 1}}, "audio"),
        ({"video_note": {**FILE, "duration": 1, "length": 240}}, "video_note"),
        ({"video": {**FILE, "duration": 1, "width": 1, "height": 1}}, "video"),
        ({"document": {**FILE, "mime_type": "audio/x-anything"}}, "document"),
        ({"document": {**FILE, "mime_type": "video/mp4"}}, "document"),
        ({"document": {**FILE, "mime_type": "application/ogg"}}, "document"),
        ({"document": {**FILE, "file_name": "LECTURE.MP3"}}, "document"),
        ({"document": {**FILE, "file_name": "a.b.opus", "mime_type": "application/octet-stream"}}, "document"),
        ({"document": {**FILE, "file_name": "mp3", "mime_type": "application/pdf"}}, None),
        ({"document": {**FILE, "file_name": "notes.txt"}}, None),
        ({"document": FILE}, "document"),
        *(
            ({"document": {**FILE, "file_name": name, "mime_type": "application/octet-stream"}}, "document")
            for name in ("memo.qta", "call.3GA", "dvd.vob", "camera.m2ts", "unknown.xyz", "no suffix", "disk.bin")
        ),
        ({"document": {**FILE, "file_name": "film.mkv", "mime_type": "application/x-matroska"}}, "document"),
        ({"document": {**FILE, "file_name": "index.ts", "mime_type": "text/x-typescript"}}, None),
        *(
            ({"document": {**FILE, "file_name": name, "mime_type": "application/octet-stream"}}, None)
            for name in ("report.pdf", "files.zip", "app.apk", "photo.jpg", "letter.docx")
        ),
        ({"document": {**FILE, "file_name": "memo.xyz", "mime_type": "application/msword"}}, None),
        ({"animation": {**FILE, "duration": 1, "width": 1, "height": 1},
          "document": {**FILE, "mime_type": "video/mp4"}}, None),
        ({"photo": [{**FILE, "width": 1, "height": 1}], "caption": "voice.ogg"}, None),
        ({"text": "voice.ogg"}, None),
    ],
)  # fmt: skip
def test_a_message_is_a_recording_when_it_has_sound(content: dict[str, Any], kind: str | None) -> None:
    found = recording_of(message(**content))
    assert (found.kind if found else None) == kind


GROUP = {"id": -5, "type": "group"}
CHANNEL = {"id": -7, "type": "channel", "title": "Hits"}
POSTED = {"forward_origin": {"type": "channel", "chat": CHANNEL, "message_id": 1, "date": 0}}
AUDIO = {**FILE, "duration": 1, "mime_type": "audio/mpeg"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"voice": {**FILE, "duration": 1}}, "voice"),
        ({"voice": {**FILE, "duration": 1}, **POSTED}, "voice"),
        ({"audio": AUDIO}, "audio"),
        ({"audio": {**AUDIO, "performer": "A band"}}, None),
        ({"audio": {**AUDIO, "title": "A song"}}, None),
        ({"audio": AUDIO, **POSTED}, None),
        ({"audio": AUDIO, "is_automatic_forward": True}, None),
        ({"audio": AUDIO, "sender_chat": CHANNEL}, None),
        ({"document": {**FILE, "mime_type": "audio/flac"}, **POSTED}, None),
        ({"document": {**FILE, "mime_type": "audio/flac"}}, "document"),
        ({"document": {**FILE, "file_name": "memo.qta"}}, "document"),
        ({"document": {**FILE, "file_name": "unknown.xyz"}}, None),
        ({"document": FILE}, None),
    ],
)
def test_a_group_is_not_told_about_music_and_unknown_files_unless_somebody_asks(
    content: dict[str, Any], kind: str | None
) -> None:
    sent = message(**content, chat=GROUP)
    found, asked = recording_of(sent), recording_of(sent, asked=True)
    assert (found.kind if found else None) == kind
    assert asked is not None


def recording(size: int | None = None, seconds: float | None = None) -> Recording:
    return Recording("audio", "f", "u", size, seconds, None)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (recording(), None),
        (recording(size=0), "empty"),
        (recording(size=20 * MIB), None),
        (recording(size=20 * MIB + 1), "too_large"),
        (recording(seconds=14_400), None),
        (recording(seconds=14_401), "too_long"),
        (recording(size=0, seconds=99_999), "empty"),
    ],
)
def test_what_a_description_forbids_is_refused_before_it_is_fetched(
    told: Recording, outcome: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AISHA_{name.upper()}", raising=False)
    assert refusal_of(told, Settings()) == outcome


@pytest.mark.parametrize(
    ("update", "position"),
    [
        ({"message": {"chat": {"id": 5}, "message_id": 7}}, (5, 7)),
        ({"message": {"chat": {"id": -(10**12)}, "message_id": 7}}, (-(10**12), 7)),
        ({"edited_message": {"chat": {"id": 5}, "message_id": 7}}, (None, None)),
        ({}, (None, None)),
        ({"message": "text"}, (None, None)),
        ({"message": {"chat": 5}}, (None, None)),
        ({"message": {"chat": {}}}, (None, None)),
        ({"message": {"chat": {"id": "five"}, "message_id": [1]}}, (None, None)),
        ({"message": {"chat": {"id": 2**70}, "message_id": 2**70}}, (None, None)),
    ],
)
def test_an_update_has_a_position_only_when_it_brings_a_message(
    update: dict[str, Any], position: tuple[int | None, int | None]
) -> None:
    assert _position(update) == position
