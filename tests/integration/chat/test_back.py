"""What a chat did not let in is shown, once, when the chat is back."""

import pytest
from aiogram.methods import EditMessageText, SendMessage
from tests.integration.chat.people import People, voice

ANN = 7
GROUP = -1_000_000_002_001
BLOCKED = "Forbidden: bot was blocked by the user"
NO_RIGHT = "Bad Request: not enough rights to send text messages to the chat"


async def states(people: People) -> list[str]:
    return [row["state"] for row in await people.rows("SELECT state FROM messages ORDER BY id")]


def attempts(people: People) -> int:
    return sum(isinstance(call, SendMessage | EditMessageText) for call in people.telegram.calls)


async def block(people: People, chat: int, reason: str = BLOCKED) -> None:
    """Send a voice whose status is shown, and let the chat be closed before its answer."""
    heard = await people.writes(chat, ANN, **voice(1))
    people.telegram.barred[chat] = reason
    await people.hears(chat, heard, "what was said")
    assert await states(people) == ["undeliverable"]


@pytest.mark.parametrize("status", ["member", "administrator", "restricted"])
@pytest.mark.parametrize("chat", [ANN, GROUP])
async def test_the_answer_is_shown_when_the_bot_is_let_in_again(
    chat: int, status: str, people: People
) -> None:
    await block(people, chat)
    await people.changes_bot(chat, ANN, "kicked")
    assert people.said(chat) != ["what was said"]
    del people.telegram.barred[chat]
    await people.changes_bot(chat, ANN, status)
    assert people.said(chat) == ["what was said"]
    assert await states(people) == ["delivered"]


async def test_the_answer_is_shown_when_somebody_writes_and_only_once(people: People) -> None:
    await block(people, ANN)
    people.telegram.barred.clear()
    await people.writes(ANN, ANN, text="hello?")
    assert people.said(ANN)[0] == "what was said"
    before = attempts(people)
    await people.changes_bot(ANN, ANN, "member")
    assert (people.said(ANN).count("what was said"), attempts(people)) == (1, before)


async def test_a_voice_whose_status_was_refused_too_is_answered_with_one_message(people: People) -> None:
    people.telegram.barred[ANN] = BLOCKED
    heard = await people.writes(ANN, ANN, **voice(1))
    await people.hears(ANN, heard, "a long text\n\n" * 600)
    people.telegram.barred.clear()
    await people.changes_bot(ANN, ANN, "member")
    assert len(people.said(ANN)) == 2, "one for each part of the long text"
    assert await states(people) == ["delivered"]


async def test_a_status_goes_on_when_the_chat_is_back_before_the_answer(people: People) -> None:
    people.telegram.barred[ANN] = BLOCKED
    heard = await people.writes(ANN, ANN, **voice(1))
    people.telegram.barred.clear()
    await people.changes_bot(ANN, ANN, "member")
    assert people.said(ANN) == ["🎧 Listening…"]
    await people.hears(ANN, heard, "what was said")
    assert people.said(ANN) == ["what was said"]


async def test_a_group_that_gives_back_the_right_to_write_gets_its_answer(people: People) -> None:
    people.telegram.barred[GROUP] = NO_RIGHT
    heard = await people.writes(GROUP, ANN, **voice(1))
    await people.hears(GROUP, heard, "what was said")
    people.telegram.barred.clear()
    await people.writes(GROUP, ANN, text="try again")
    assert people.said(GROUP) == ["what was said"]


async def test_a_talkative_group_without_the_right_to_write_costs_few_calls(people: People) -> None:
    await block(people, GROUP, NO_RIGHT)
    before = attempts(people)
    for _ in range(10):
        await people.writes(GROUP, ANN, text="bla")
    assert attempts(people) - before <= 8


async def test_what_telegram_refuses_for_another_reason_is_not_tried_again(people: People) -> None:
    await block(people, ANN, "Bad Request: message text is empty")
    before = attempts(people)
    await people.changes_bot(ANN, ANN, "member")
    assert attempts(people) == before


async def test_an_answer_of_long_ago_stays_away(people: People) -> None:
    await block(people, ANN)
    people.telegram.barred.clear()
    await people.rows("UPDATE outbox SET created_at = now() - interval '8 days'")
    await people.changes_bot(ANN, ANN, "member")
    assert "what was said" not in people.said(ANN)
