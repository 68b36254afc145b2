"""Whatever is sent gets one clear sentence or its text, and leaves nothing open behind it.

Each situation has a person of its own. What can be sent at once is sent before the first test waits.
"""

import itertools
import json
import os
import re
import subprocess
import time
import wave
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import psycopg
import pytest
from harness import AISHA, Said, Telegram, Tree, is_final, wait_for
from media import RATE, samples, write
from numpy.typing import NDArray
from psycopg.rows import dict_row
from tests.hostile import jumping, one_hertz, pictures
from tests.integration.speech.recordings import encode, silent_video, tracks, without_sound
from tests.speech import Clip, prompts, word_error_rate

from aisha import texts

Pcm = NDArray[np.int16]
Files = Callable[[Path, Pcm], Path]

MIB = 1024 * 1024
SECONDS = 100
SETTLE_SECONDS = 2
RANDOM = np.random.default_rng(7)
CLEAR = (
    "conf-extended",
    "conf-noempty",
    "tt-monkeysintro",
    "tt-somethingwrong",
    "vm-delete",
    "vm-next",
    "vm-msgsaved",
    "vm-prev",
    "vm-repeat",
    "demo-echodone",
    "conf-leaderhasleft",
    "conf-kicked",
    "vm-passchanged",
    "transfer",
    "vm-tempremoved",
    "conf-enteringno",
)
"""Prompts of two or three seconds that the small model hears well."""


@cache
def clip(number: int) -> Clip:
    """Return one of the clear prompts, over and over."""
    known = {clip.path.stem: clip for clip in prompts()}
    return known[CLEAR[number % len(CLEAR)]]


NUMBERS = itertools.count(400)
"""Numbers of recordings that no test names."""


def spoken(number: int) -> Pcm:
    """Return a prompt behind a pause that no other number has, so that no two recordings are the same file."""
    return np.concatenate([np.zeros(400 * (number + 1), np.int16), samples(clip(number).path)])


def sentence(key: str, reader: str = "en") -> str:
    """Return a pattern of the sentence for a situation, whatever its numbers."""
    template = texts.TEXTS[key]["ru" if reader == "ru" else "en"]
    return ".+".join(re.escape(part) for part in re.split(r"\{\w+\}", template))


def same_words(text: str, heard: str) -> bool:
    """Tell whether most words were heard."""
    return word_error_rate([text], [heard]) < 0.5


# --- files -----------------------------------------------------------------------------------------------------


def raw(name: str, content: bytes) -> Files:
    """Return a maker of a file with that content."""

    def make(folder: Path, _: Pcm) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def encoded(name: str, **options: Any) -> Files:
    """Return a maker of a file of the speech that it is given."""
    return lambda folder, pcm: write(folder / name, pcm, **options)


def sound(pcm: Pcm) -> Files:
    """Return a maker of a voice message with other sound than speech."""
    return lambda folder, _: write(folder / "voice.ogg", pcm)


def video(name: str) -> Files:
    """Return a maker of a video with the speech that it is given."""

    def make(folder: Path, pcm: Pcm) -> Path:
        (folder / name).write_bytes(encode(pcm, "mp4", "aac", 48_000, video=True))
        return folder / name

    return make


def pictured(name: str) -> Files:
    """Return a maker of a recording with pictures attached that fill gigabytes."""
    return lambda folder, pcm: raw(name, pictures(pcm))(folder, pcm)


def cut(folder: Path, pcm: Pcm) -> Path:
    """Return a voice message truncated by a third; its speech is repeated three times."""
    path = write(folder / "cut.ogg", np.tile(pcm, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    return path


def changing_rate(folder: Path, pcm: Pcm) -> Path:
    """Return an MP3 whose halves have different sample rates."""
    half = pcm.size // 2
    parts = [
        encode(piece, "mp3", "libmp3lame", rate, options={"write_xing": "0", "id3v2_version": "0"})
        for piece, rate in ((pcm[:half], 22_050), (pcm[half:], 44_100))
    ]
    return raw("changing.mp3", b"".join(parts))(folder, pcm)


def chained(folder: Path, pcm: Pcm) -> Path:
    """Return two Ogg streams one behind the other, as recorders that pause write."""
    half = pcm.size // 2
    parts = [write(folder / f"{n}.ogg", piece) for n, piece in enumerate((pcm[:half], pcm[half:]))]
    return raw("chained.ogg", b"".join(part.read_bytes() for part in parts))(folder, pcm)


def upside_down(folder: Path, pcm: Pcm) -> Path:
    """Return a stereo WAV whose right channel is the left one inverted."""
    path = folder / "inverted.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.stack([pcm, -pcm], axis=1).tobytes())
    return path


def too_quiet(folder: Path, pcm: Pcm) -> Path:
    """Return speech 40 dB below what it was."""
    return write(folder / "quiet.flac", (pcm // 100).astype(np.int16), "flac", RATE)


def music(seconds: int = 8) -> Pcm:
    """Return four chords in turn, plucked, with a drum on each beat."""
    beat = np.arange(RATE // 2) / RATE
    drum = RANDOM.normal(size=beat.size) * np.exp(-beat * 40) + np.sin(2 * np.pi * 60 * beat) * np.exp(
        -beat * 15
    )
    played = []
    for number in range(seconds * 2):
        root = 220 * 2 ** ((0, 5, 7, 3)[number // 4 % 4] / 12)
        chord = sum(
            np.sin(2 * np.pi * root * interval * harmonic * beat) / harmonic
            for interval in (1, 1.26, 1.5)
            for harmonic in (1, 2, 3, 4)
        )
        played.append(chord * np.exp(-beat * 3) * 0.5 + drum)
    whole = np.concatenate(played)
    return (whole / np.abs(whole).max() * 20_000).astype(np.int16)


def noise(seconds: float = 5.0) -> Pcm:
    """Return hiss."""
    return (RANDOM.normal(size=int(seconds * RATE)) * 2000).astype(np.int16)


# --- one file, one answer --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A file and how it is sent; `expected` is the situation to be told, or None for the text of its speech."""

    name: str
    make: Files
    expected: str | None = None
    kind: str = "voice"
    fields: dict[str, Any] = field(default_factory=dict)


CASES = [
    Case("a_voice_message", encoded("voice.ogg")),
    Case("zero_bytes", raw("voice.ogg", b""), "empty"),
    Case("zero_bytes_as_a_document", raw("empty.mp3", b""), "empty", "document"),
    Case("a_text_named_ogg", raw("voice.ogg", b"This is no sound.\n" * 50), "unreadable"),
    Case("a_text_named_ogg_as_a_document", raw("n.ogg", b"Nor is this.\n" * 50), "unreadable", "document"),
    Case("random_bytes", raw("voice.ogg", RANDOM.bytes(20_000)), "unreadable"),
    Case("a_playlist", raw("list.mp3", b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n"), "unreadable", "audio"),
    Case("a_video_without_sound", raw("silent.mp4", silent_video(2)), "no_sound", "video"),
    Case("a_tenth_of_a_second", sound(noise(0.1)), "too_short"),
    Case("silence", sound(np.zeros(5 * RATE, np.int16)), "silence"),
    Case("music", sound(music()), "no_speech"),
    Case("noise", sound(noise()), "no_speech"),
    Case("8_kHz", encoded("phone.wav", codec="pcm_s16le", rate=8000), kind="audio"),
    Case("stereo", encoded("stereo.m4a", codec="aac", layout="stereo"), kind="audio"),
    Case("5.1", encoded("cinema.flac", codec="flac", layout="5.1"), kind="audio"),
    Case("a_changing_sample_rate", changing_rate, kind="audio"),
    Case("two_streams_in_a_chain", chained),
    Case("a_document_that_is_audio_by_its_type", encoded("sound.bin.mp3", codec="libmp3lame", rate=44_100),
         kind="document", fields={"file_name": "sound.bin", "mime_type": "audio/mpeg"}),
    Case("a_document_that_is_audio_by_its_name", encoded("recorded.wav", codec="pcm_s16le", rate=16_000),
         kind="document", fields={"mime_type": "application/octet-stream"}),
    Case("a_document_of_a_type_that_nobody_knows", encoded("memo.wav", codec="pcm_s16le", rate=16_000),
         kind="document", fields={"file_name": "memo.xyz", "mime_type": "application/octet-stream"}),
    Case("a_video_note", video("note.mp4"), kind="video_note"),
    Case("a_video_with_sound", video("clip.mp4"), kind="video"),
    Case("a_file_that_getFile_calls_too_big", raw("huge.wav", b"RIFF" + bytes(21 * MIB)), "too_large", "audio"),
    Case("a_file_declared_larger_than_the_limit", encoded("any.mp3", codec="libmp3lame", rate=44_100),
         "too_large", "document", {"extra": {"document": {
             "file_id": "never-asked-for", "file_unique_id": "never", "file_size": 3000 * MIB,
             "mime_type": "audio/mpeg", "file_name": "long.mp3"}}}),
    Case("a_recording_declared_longer_than_the_limit", encoded("any.ogg"), "too_long", "audio",
         {"extra": {"audio": {"file_id": "never-asked", "file_unique_id": "never2", "duration": 90_000}}}),
    Case("a_file_that_is_gone", encoded("gone.ogg"), "gone", "voice",
         {"extra": {"voice": {"file_id": "gone", "file_unique_id": "gone", "duration": 3}}}),
    Case("a_sample_a_second", raw("slow.mka", one_hertz()), "unreadable", "document"),
    Case("pictures_of_three_gigabytes", pictured("covers.mka"), kind="document"),
    Case("chunks_that_jump_about", lambda folder, pcm: raw("jumping.mov", jumping(pcm))(folder, pcm), kind="video"),
    Case("a_photo_with_a_caption", raw("photo.jpg", b"\xff\xd8\xff"), "send_recording", "photo",
         {"caption": "what does he say?"}),
    Case("a_document_that_is_no_sound", raw("report.pdf", b"%PDF-1.7"), "not_media", "document"),
    Case("a_channel_upside_down", upside_down, kind="audio"),
    Case("speech_that_is_far_too_quiet", too_quiet, kind="audio"),
    Case("a_header_without_sound", raw("none.wav", without_sound("wav", "pcm_s16le")), "empty", "audio"),
]  # fmt: skip

At = tuple[int, int]
"""A chat and a message in it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's files are."""
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def since(tree: Tree) -> int:
    """The length of the log before this module's tests."""
    return tree.log.stat().st_size


@pytest.fixture(scope="module")
def sent(since: int, telegram: Telegram, folder: Path) -> dict[str, At]:
    """Every case of the table, sent."""
    return {case.name: send_case(telegram, folder, number, case) for number, case in enumerate(CASES)}


def send_case(telegram: Telegram, folder: Path, number: int, case: Case) -> At:
    """Send one case from a person of its own."""
    place = folder / str(number)
    place.mkdir()
    path = case.make(place, spoken(number))
    fields = {name: json.dumps(v) if isinstance(v, dict) else v for name, v in case.fields.items()}
    chat = telegram.person(case.name)
    return chat, telegram.send_file(chat, path, case.kind, **fields)


def final(telegram: Telegram, chat: int, count: int = 1, seconds: float = SECONDS) -> list[Said]:
    """Wait until the bot has sent so many final messages to a chat; return all its messages there."""
    wait_for(
        lambda: sum(is_final(said.text) for said in telegram.said(chat)) >= count, seconds, f"{count} answers"
    )
    return telegram.said(chat)


def rows(tree: Tree, query: str, *values: Any) -> list[dict[str, Any]]:
    """Ask the database."""
    url = tree.setting("AISHA_DATABASE_URL")
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def message(tree: Tree, at: At) -> dict[str, Any]:
    """Return what the database has of a recording."""
    [row] = rows(tree, "SELECT * FROM messages WHERE chat_id = %s AND message_id = %s", *at)
    return row


def spoil(telegram: Telegram, method: str, kind: str = "error", **rule: Any) -> None:
    """Spoil the next calls of a method."""
    telegram.call("POST", "/faults", json={"method": method, "kind": kind, **rule})


def used_up(telegram: Telegram, method: str, chat: int | None = None) -> bool:
    """Tell whether no fault waits any more for a method in a chat."""
    left = telegram.call("GET", "/faults")
    return not any(rule["method"] == method and rule.get("chat_id") == chat for rule in left)


def voice(folder: Path, number: int) -> Path:
    """Return a voice message that no other test sends."""
    path = folder / f"voice-{number}.ogg"
    return path if path.exists() else write(path, spoken(number))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_answer_comes_to(case: Case, telegram: Telegram, sent: dict[str, At]) -> None:
    """The name's end is what was sent."""
    chat, _ = sent[case.name]
    [answer] = final(telegram, chat)
    if case.expected:
        assert re.fullmatch(sentence(case.expected), answer.text)
    else:
        assert same_words(clip(CASES.index(case)).text, answer.text), answer.text


@pytest.mark.parametrize("case", [case for case in CASES if case.kind != "photo"], ids=lambda case: case.name)
def test_the_answer_is_a_reply_to(case: Case, telegram: Telegram, sent: dict[str, At]) -> None:
    """The name's end is what was sent."""
    chat, message_id = sent[case.name]
    assert [answer.reply_to for answer in final(telegram, chat)] == [message_id]


def test_a_file_that_is_too_large_is_told_a_limit_below_its_size(
    telegram: Telegram, sent: dict[str, At]
) -> None:
    for name, size in (
        ("a_file_that_getFile_calls_too_big", 21),
        ("a_file_declared_larger_than_the_limit", 3000),
    ):
        [answer] = final(telegram, sent[name][0])
        assert all(int(told) < size for told in re.findall(r"(\d+) MB", answer.text)), answer.text


def test_what_is_refused_by_its_description_is_never_fetched(telegram: Telegram, sent: dict[str, At]) -> None:
    final(telegram, sent["a_file_declared_larger_than_the_limit"][0])
    calls = telegram.call("GET", "/calls?method=getFile&limit=100000")["calls"]
    assert not any("never" in str(call) for call in calls)


# --- situations ------------------------------------------------------------------------------------------------


def test_a_truncated_recording_gives_its_text_and_says_that_it_is_cut_off(
    telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Truncated")
    telegram.send_file(chat, cut(folder, spoken(100)))
    [answer] = final(telegram, chat)
    text, note = answer.text.split("\n\n")
    words = clip(100).text.split()
    assert same_words(" ".join(words), " ".join(text.split()[: len(words)])), text
    assert re.fullmatch(sentence("incomplete"), note)


def test_speech_in_the_second_track_is_heard_and_the_answer_says_which(
    telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Two tracks")
    game = tracks(np.zeros(3 * RATE, np.int16), spoken(101))
    telegram.send_file(chat, raw("game.mkv", game)(folder, spoken(101)), "video")
    [answer] = final(telegram, chat)
    text, note = answer.text.split("\n\n")
    assert same_words(clip(101).text, text), text
    assert note == texts.say("other_tracks", "en", track=2, tracks=2)


def test_a_download_that_finds_nothing_says_that_the_file_is_gone(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Lost download")
    spoil(telegram, "download", code=404, times=20)
    telegram.send_file(chat, voice(folder, 101))
    [answer] = final(telegram, chat)
    telegram.call("DELETE", "/faults")
    assert re.fullmatch(sentence("gone"), answer.text)


def test_a_file_that_only_the_server_knows_to_be_too_large_is_refused(
    telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Understated")
    spoil(telegram, "getFile", code=400, description="Bad Request: file is too big")
    telegram.send_file(chat, voice(folder, 103))
    [answer] = final(telegram, chat)
    assert re.fullmatch(sentence("too_large_voice"), answer.text)


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        ("getFile", {"code": 500}),
        ("getFile", {"code": 429, "retry_after": 1}),
        ("getFile", {"kind": "drop_before"}),
        ("download", {"code": 502}),
        ("download", {"kind": "drop_before"}),
    ],
    ids=str,
)
def test_a_file_that_does_not_come_at_once_is_fetched_again(
    method: str, rule: dict[str, Any], telegram: Telegram, folder: Path
) -> None:
    number = next(NUMBERS)
    chat = telegram.person("Patient")
    spoil(telegram, method, **rule)
    telegram.send_file(chat, voice(folder, number))
    [answer] = final(telegram, chat)
    assert same_words(clip(number).text, answer.text)


def test_text_gets_a_hint_in_private_chats(telegram: Telegram) -> None:
    chat = telegram.person("Chatty")
    said = telegram.next_said(chat, telegram.send_text(chat, "hello there"))
    assert re.fullmatch(sentence("send_recording"), said.text)


def test_groups_are_not_disturbed_by_what_is_no_recording(telegram: Telegram, folder: Path) -> None:
    person = telegram.person("Member")
    group = telegram.call("POST", "/chats", json={"title": "Chatter", "members": [person]})["id"]
    telegram.send_text(group, "hello all")
    telegram.send_file(group, raw("me.jpg", b"\xff\xd8\xff")(folder, spoken(0)), "photo", caption="me")
    telegram.send_file(group, raw("me.pdf", b"%PDF-1.7")(folder, spoken(0)), "document")
    heard = telegram.send_file(group, voice(folder, 150))
    assert [said.reply_to for said in final(telegram, group)] == [heard]


def test_each_voice_of_an_album_gets_a_reply_of_its_own(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Album")
    numbers = (151, 152, 153)
    paths = [str(write(folder / f"{n}.mp3", spoken(n), codec="libmp3lame", rate=44_100)) for n in numbers]
    sent = telegram.call(
        "POST", f"/chats/{chat}/messages", data={"kind": "audio", "paths": json.dumps(paths)}
    )
    answers = {said.reply_to: said.text for said in final(telegram, chat, len(numbers))}
    assert len(answers) == len(numbers)
    for number, one in zip(numbers, sent["album"], strict=True):
        assert same_words(clip(number).text, answers[one["message"]["message_id"]])


INVALID: dict[str, dict[str, Any]] = {
    "a_kind_that_nobody_handles": {"poll_answer": {"poll_id": "1", "option_ids": [0], "option_persistent_ids": [],
                                                   "user": {"id": 5, "is_bot": False, "first_name": "P"}}},
    "a_kind_that_is_not_known": {"telepathy": {"thought": "hello"}},
    "nothing": {},
    "a_message_that_is_a_text": {"message": "hello"},
    "a_message_without_fields": {"message": {}},
    "a_chat_without_fields": {"message": {"chat": {}, "message_id": 1}},
    "ids_that_are_no_numbers": {"message": {"chat": {"id": "five"}, "message_id": [1], "date": 0}},
    "ids_beyond_64_bits": {"message": {"chat": {"id": 2**70}, "message_id": 2**70, "date": 0}},
    "a_voice_without_a_file": {"message": {"chat": {"id": 5, "type": "private"}, "message_id": 1, "date": 0,
                                           "voice": {"duration": "long"}}},
    "a_NUL_within_a_text": {"message": {"chat": {"id": 5, "type": "private"}, "message_id": 2, "date": 0,
                                        "text": "a\0b"}},
    "a_button_of_nobody": {"callback_query": {"id": "1", "data": "language:\0", "from": {
        "id": 5, "is_bot": False, "first_name": "P"}, "chat_instance": "1"}},
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_the_next_good_message_is_answered_after_an_update_with(name: str, telegram: Telegram) -> None:
    """The name's end is the bad update."""
    telegram.call("POST", "/updates", json=INVALID[name])
    chat = telegram.person("Good")
    said = telegram.next_said(chat, telegram.send_text(chat, "hello"))
    assert re.fullmatch(sentence("send_recording"), said.text)


def test_an_update_that_comes_twice_is_answered_once(telegram: Telegram, tree: Tree, folder: Path) -> None:
    chat = telegram.person("Twice")
    data = {"kind": "voice", "path": str(voice(folder, 154))}
    sent = telegram.call("POST", f"/chats/{chat}/messages", data=data)
    for update_id in (sent["update_id"], None):
        telegram.call("POST", "/updates", json={"update_id": update_id, "message": sent["message"]})
    final(telegram, chat)
    time.sleep(SETTLE_SECONDS)
    assert len(telegram.said(chat)) == 1
    assert len(rows(tree, "SELECT id FROM messages WHERE chat_id = %s", chat)) == 1


def test_an_edited_message_gets_no_second_answer(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Editor")
    sent = telegram.send_file(chat, voice(folder, 155))
    telegram.call("PATCH", f"/chats/{chat}/messages/{sent}", json={"caption": "before the answer"})
    final(telegram, chat)
    telegram.call("PATCH", f"/chats/{chat}/messages/{sent}", json={"caption": "after the answer"})
    time.sleep(SETTLE_SECONDS)
    assert [said.reply_to for said in telegram.said(chat)] == [sent]


def test_after_blocking_and_unblocking_what_was_missed_is_shown_and_the_next_voice_is_answered(
    telegram: Telegram, tree: Tree, folder: Path
) -> None:
    chat = telegram.person("Blocker")
    blocked = telegram.send_file(chat, voice(folder, 156))
    telegram.call("POST", f"/chats/{chat}/bot", json={"status": "kicked"})
    query = "SELECT id FROM messages WHERE chat_id = %s AND state = 'undeliverable'"
    wait_for(lambda: rows(tree, query, chat), SECONDS, "giving up")
    telegram.call("POST", f"/chats/{chat}/bot", json={"status": "member"})
    assert same_words(clip(156).text, telegram.answer(chat, blocked))
    heard = telegram.send_file(chat, voice(folder, 157))
    assert same_words(clip(157).text, telegram.answer(chat, heard))
    assert [said.reply_to for said in telegram.said(chat)] == [blocked, heard]


UNHINDERED: tuple[str, dict[str, Any]] = ("getMe", {"code": 500})
FAILURES: list[tuple[str, dict[str, Any]]] = [
    UNHINDERED,
    ("sendMessage", {"kind": "drop_after"}),
    ("sendMessage", {"kind": "drop_after", "times": 2}),
    ("sendMessage", {"kind": "drop_before"}),
    ("sendMessage", {"code": 500, "times": 2}),
    ("sendMessage", {"code": 401}),
    ("sendMessage", {"code": 429, "retry_after": 5}),
    ("editMessageText", {"kind": "drop_after"}),
    ("editMessageText", {"kind": "drop_before"}),
    ("editMessageText", {"code": 502, "times": 2}),
    ("editMessageText", {"code": 401}),
    ("editMessageText", {"code": 429, "retry_after": 5}),
]
FIRST_FAILURE = 170


@pytest.fixture(scope="module")
def spoilt(telegram: Telegram, folder: Path) -> list[At]:
    """A voice for each of the failures, sent, and all of them answered; then time for what should not come."""
    sent = []
    for number, (method, rule) in enumerate(FAILURES, start=FIRST_FAILURE):
        chat = telegram.person(f"Unlucky {number}")
        spoil(telegram, method, chat_id=chat, **rule)
        sent.append((chat, telegram.send_file(chat, voice(folder, number))))
    for chat, _ in sent:
        final(telegram, chat)
    time.sleep(SETTLE_SECONDS)
    return sent


@pytest.mark.parametrize("number", range(len(FAILURES)), ids=lambda number: f"{FAILURES[number]}")
def test_one_message_is_seen_when_a_call_fails(number: int, telegram: Telegram, spoilt: list[At]) -> None:
    chat, heard = spoilt[number]
    [answer] = telegram.said(chat)
    assert answer.reply_to == heard
    assert same_words(clip(FIRST_FAILURE + number).text, answer.text)


@pytest.mark.parametrize("method", ["sendMessage", "editMessageText"])
def test_others_are_answered_while_telegram_asks_to_wait_after(
    method: str, telegram: Telegram, tree: Tree, spoilt: list[At], folder: Path
) -> None:
    """The name's end is the call that was refused with retry_after."""
    slow = spoilt[FAILURES.index((method, {"code": 429, "retry_after": 5}))]
    other = spoilt[FAILURES.index(UNHINDERED)]
    wait_for(lambda: all(message(tree, at)["delivered_at"] for at in (slow, other)), 5, "records")
    assert message(tree, other)["delivered_at"] < message(tree, slow)["delivered_at"]


def test_a_status_message_that_its_reader_deleted_is_replaced_by_a_new_message(
    telegram: Telegram, folder: Path
) -> None:
    chat = telegram.person("Tidy")
    spoil(telegram, "editMessageText", code=429, retry_after=2, chat_id=chat)
    telegram.send_file(chat, voice(folder, 220))
    wait_for(lambda: used_up(telegram, "editMessageText", chat), 30, "the refused edit")
    [status] = telegram.said(chat)
    telegram.call("DELETE", f"/chats/{chat}/messages/{status.message_id}")
    [answer] = final(telegram, chat)
    assert answer.message_id > status.message_id
    assert same_words(clip(220).text, answer.text)


def test_a_file_that_was_transcribed_before_is_answered_without_a_job(
    telegram: Telegram, tree: Tree, folder: Path
) -> None:
    first, second = telegram.person("First"), telegram.person("Second")
    telegram.send_file(first, voice(folder, 221))
    [answer] = final(telegram, first)
    again = telegram.send_file(second, voice(folder, 221))
    [same] = final(telegram, second)
    assert same.text == answer.text
    assert not rows(tree, "SELECT id FROM jobs WHERE message = %s", message(tree, (second, again))["id"])


def test_a_long_answer_comes_in_parts_that_end_at_words(telegram: Telegram, tree: Tree, folder: Path) -> None:
    first, second = telegram.person("Speaker"), telegram.person("Listener")
    heard = telegram.send_file(first, voice(folder, 222))
    final(telegram, first)
    words = [f"word{number}" for number in range(1500)]
    rows(
        tree,
        "UPDATE messages SET text = %s WHERE chat_id = %s AND message_id = %s",
        " ".join(words), first, heard,
    )  # fmt: skip
    again = telegram.send_file(second, voice(folder, 222))
    parts = final(telegram, second, count=3)
    assert [word for part in parts for word in part.text.split()] == words
    assert all(3000 < len(part.text) <= 4096 for part in parts[:-1])
    assert {part.reply_to for part in parts} == {again}


# --- settings --------------------------------------------------------------------------------------------------

DATABASE = "postgresql://user:no-such-password@127.0.0.1:9/none"
SERVICES = {
    "AISHA_BOT_TOKEN": "123456789:AAF-not-a-token-that-anybody-has-00",
    "AISHA_DATABASE_URL": DATABASE,
    "AISHA_REDIS_URL": "redis://127.0.0.1:9/0",
    "AISHA_S3_ENDPOINT": "http://127.0.0.1:9",
    "AISHA_S3_ACCESS_KEY": "some-access-key",
    "AISHA_S3_SECRET_KEY": "some-secret-key",
    "AISHA_HEALTH_PORT": "0",
    "AISHA_WORKER_METRICS_PORT": "0",
}
WRONG: list[tuple[str, str, str | None]] = [
    ("bot", "AISHA_BOT_TOKEN", None),
    ("bot", "AISHA_BOT_TOKEN", "no token"),
    ("bot", "AISHA_DATABASE_URL", "no address"),
    ("bot", "AISHA_DATABASE_URL", DATABASE),
    ("bot", "AISHA_S3_SECRET_KEY", None),
    ("worker", "AISHA_DATABASE_URL", None),
    ("worker", "AISHA_DATABASE_URL", "no address"),
    ("worker", "AISHA_REDIS_URL", "no address"),
    ("worker", "AISHA_MODELS_DIR", "/nowhere"),
    ("run", "AISHA_WEB_PORT", "http"),
    ("run", "AISHA_S3_ACCESS_KEY", None),
    ("run", "AISHA_BOT_TOKEN", None),
    ("run", "AISHA_BOT_TOKEN", "no token"),
    ("run", "AISHA_DEFAULT_LANGUAGE", "xx"),
]


def aisha(verb: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a verb with settings of its own only."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AISHA_")}
    return subprocess.Popen(
        [AISHA, verb], env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> list[tuple[int, str, str]]:
    """The exit status, output and errors of each verb with its wrong setting; two run at a time."""

    data = tmp_path_factory.mktemp("data")

    def end(number: int) -> tuple[int, str, str]:
        verb, variable, value = WRONG[number]
        settings = {
            "AISHA_DATA_DIR": str(data / str(number)),
            "AISHA_MODELS_DIR": str(models_dir),
            "AISHA_BOT_API_URL": "http://127.0.0.1:9",
            **SERVICES,
            variable: value or "",
        }
        process = aisha(verb, settings)
        try:
            out, error = process.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            out, error = process.communicate()
        return process.returncode, out, error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(end, range(len(WRONG))))


@pytest.mark.parametrize("number", range(len(WRONG)), ids=lambda n: "-".join(map(str, WRONG[n])))
def test_a_wrong_setting_ends_a_verb_with_one_line_that_names_it(
    number: int, ended: list[tuple[int, str, str]]
) -> None:
    _, variable, _ = WRONG[number]
    status, out, error = ended[number]
    said = [line for line in error.splitlines() if line.startswith("aisha:")]
    assert status == 1, error
    assert said, error
    assert variable in said[-1], error
    assert "Traceback" not in error
    assert "no-such-password" not in error
    assert not out


@pytest.fixture
def empty_database(tree: Tree) -> Iterator[str]:
    """A database of the tree's server with our tables and nothing in them."""
    rows(tree, "CREATE DATABASE refused")
    url = tree.setting("AISHA_DATABASE_URL").rsplit("/", 1)[0] + "/refused"
    assert aisha("migrate", {"AISHA_DATABASE_URL": url}).wait(30) == 0
    yield url
    rows(tree, "DROP DATABASE refused WITH (FORCE)")


def test_a_token_that_is_refused_ends_the_bot_with_a_sentence(tree: Tree, empty_database: str) -> None:
    names = ("REDIS_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY")
    settings = {f"AISHA_{name}": tree.setting(f"AISHA_{name}") for name in names}
    own = {"AISHA_DATABASE_URL": empty_database, "AISHA_BOT_API_URL": tree.url, "AISHA_HEALTH_PORT": "0"}
    process = aisha("bot", {**settings, **own, "AISHA_BOT_TOKEN": SERVICES["AISHA_BOT_TOKEN"]})
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "aisha: AISHA_BOT_TOKEN is refused" in error.splitlines()[-1]
    assert "Traceback" not in error


# --- afterwards ------------------------------------------------------------------------------------------------

OPEN = {
    "jobs": "SELECT * FROM jobs WHERE state <> 'done'",
    "inbox": "SELECT * FROM inbox WHERE handled_at IS NULL",
    "outbox": "SELECT * FROM outbox WHERE shown < version AND failed_at IS NULL",
    "messages": "SELECT * FROM messages WHERE state NOT IN ('delivered', 'undeliverable')",
}


@pytest.mark.parametrize("table", OPEN)
def test_nothing_is_left_open_in(table: str, tree: Tree, sent: dict[str, At]) -> None:
    """The name's end is a table."""
    wait_for(lambda: not rows(tree, OPEN[table]), 20, f"an end of all work in {table}")


def test_nothing_died_or_failed_unexpectedly(tree: Tree, since: int) -> None:
    with tree.log.open("rb") as log:
        log.seek(since)
        lines = log.read().decode(errors="replace").splitlines()
    bad = [line for line in lines if re.search(r"Traceback|died|unexpectedly|returned to the queue", line)]
    assert not bad


HOURS = 3


def lecture(folder: Path) -> Path:
    """Return three hours of MP3, its silence at 8 kbit/s: speech, a long silence, speech, a long silence, speech."""
    options = {"write_xing": "0", "id3v2_version": "0"}

    def mp3(pcm: Pcm, bit_rate: int) -> bytes:
        path = folder / "part.mp3"
        with av.open(str(path), "w", options=options) as container:
            stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
            stream.bit_rate = bit_rate
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
            frame.sample_rate = RATE
            resampler = av.AudioResampler(stream.format, "mono", RATE, 576)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        return path.read_bytes()

    silence = mp3(np.zeros(60 * RATE, np.int16), 8_000)
    pause = silence * (HOURS * 30)
    said = [mp3(spoken(number), 24_000) for number in (300, 301, 302)]
    return raw("lecture.mp3", pause.join(said))(folder, spoken(0))


@pytest.mark.timeout(900)
def test_three_hours_of_audio_give_each_sentence_once(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Lecturer")
    path = lecture(folder)
    assert path.stat().st_size < 20 * MIB
    telegram.send_file(chat, path, "audio")
    [answer] = final(telegram, chat, seconds=800)
    expected = " ".join(clip(number).text for number in (300, 301, 302))
    assert word_error_rate([expected], [answer.text]) < 0.4, answer.text
