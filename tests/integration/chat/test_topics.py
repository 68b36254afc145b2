"""Whatever is said about a message is said in its forum topic."""

from typing import Any

import pytest
from tests.integration.chat.people import People, voice

FORUM, ANN, TOPIC = -1_000_000_002_001, 7, 55
IN_TOPIC: dict[str, Any] = {"message_thread_id": TOPIC, "is_topic_message": True}


@pytest.mark.parametrize("command", ["start", "help", "language", "transcribe"])
async def test_a_command_is_answered_in_its_topic(command: str, people: People) -> None:
    await people.writes(FORUM, ANN, text=f"/{command}", **IN_TOPIC)
    assert people.last(FORUM)[1]["message_thread_id"] == TOPIC


async def test_a_long_answer_stays_in_the_topic_with_all_its_parts(people: People) -> None:
    heard = await people.writes(FORUM, ANN, **voice(1), **IN_TOPIC)
    await people.hears(FORUM, heard, "words " * 1000)
    assert [each.get("message_thread_id") for each in people.telegram.shown.values()] == [TOPIC, TOPIC]


async def test_a_thread_of_replies_is_no_topic(people: People) -> None:
    await people.writes(FORUM, ANN, text="/help", message_thread_id=12)
    await people.writes(FORUM, ANN, **voice(1), message_thread_id=12)
    assert not any("message_thread_id" in each for each in people.telegram.shown.values())


async def test_an_apology_is_in_the_topic(people: People) -> None:
    broken = {"voice": {"duration": "long"}, **IN_TOPIC}
    await people.writes(FORUM, ANN, **broken)
    assert people.last(FORUM)[1]["message_thread_id"] == TOPIC
