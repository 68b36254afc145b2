"""A group hears about its recordings, and about its music only when somebody asks."""

from typing import Any

import pytest
from tests.integration.chat.people import FILE, People, message, voice

from aisha import texts

GROUP, ANN = -1_000_000_002_001, 7
SONG = {"audio": {**FILE, "file_unique_id": "song", "performer": "A band", "mime_type": "audio/mpeg"}}
MENTION = {"text": "@aisha_bot please", "entities": [{"type": "mention", "offset": 0, "length": 10}]}


def song(number: int = 900) -> dict[str, Any]:
    return message(number, GROUP, 8, **SONG)


async def accepted(people: People) -> list[int]:
    return [row["message_id"] for row in await people.rows("SELECT message_id FROM messages ORDER BY id")]


async def test_a_song_in_a_group_is_passed_over(people: People) -> None:
    await people.happens(message=song())
    assert (await accepted(people), people.said(GROUP)) == ([], [])


@pytest.mark.parametrize(
    "asking", [MENTION, {"text": "/transcribe"}, {"text": "/transcribe@aisha_bot"}], ids=str
)
async def test_a_song_is_heard_when_somebody_asks_in_reply(asking: dict[str, Any], people: People) -> None:
    await people.writes(GROUP, ANN, **asking, reply_to_message=song())
    assert await accepted(people) == [900]
    assert people.last(GROUP)[1]["reply_parameters"]["message_id"] == 900


async def test_a_song_is_heard_when_its_caption_mentions_the_bot(people: People) -> None:
    caption = {"caption": MENTION["text"], "caption_entities": MENTION["entities"]}
    assert await people.writes(GROUP, ANN, **SONG, **caption) in await accepted(people)


async def test_a_mention_of_somebody_else_or_without_a_recording_asks_nothing(people: People) -> None:
    other = {"text": "@other_bot hi", "entities": [{"type": "mention", "offset": 0, "length": 10}]}
    await people.writes(GROUP, ANN, **other, reply_to_message=song())
    await people.writes(GROUP, ANN, **MENTION)
    assert (await accepted(people), people.said(GROUP)) == ([], [])


async def test_who_asks_in_vain_is_told_so(people: People) -> None:
    await people.writes(GROUP, ANN, text="/transcribe")
    assert people.said(GROUP) == [texts.say("transcribe_what", "en")]


async def test_who_asks_for_what_was_heard_is_told_so(people: People) -> None:
    heard = await people.writes(GROUP, ANN, **voice(1))
    again = message(heard, GROUP, ANN, **voice(1))
    await people.writes(GROUP, ANN, text="/transcribe", reply_to_message=again)
    assert await accepted(people) == [heard]
    assert people.last(GROUP)[1]["text"] == texts.say("transcribed_before", "en")


async def test_a_file_that_is_no_sound_is_told_in_a_reply_to_it(people: People) -> None:
    pdf = {"document": {"file_id": "f", "file_unique_id": "u", "mime_type": "application/pdf"}}
    sent = await people.writes(ANN, ANN, **pdf)
    _, shown = people.last(ANN)
    assert (shown["text"], shown["reply_parameters"]["message_id"]) == (texts.say("not_media", "en"), sent)
