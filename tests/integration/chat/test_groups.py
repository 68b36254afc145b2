"""A group has one language, which is set by who may; a button changes only the message that offers it."""

import pytest
from aiogram.exceptions import TelegramNetworkError
from tests.integration.chat.people import People, voice

from aisha import texts
from aisha.receive.rights import GetRawMember

GROUP = -1_000_000_002_001
OWNER, MEMBER = 1, 2


async def offer(people: People, chat: int = GROUP, user: int = MEMBER) -> int:
    """Ask for the buttons and return the id of the message with them."""
    await people.writes(chat, user, text="/language")
    number, shown = people.last(chat)
    assert shown["reply_markup"]
    return number


async def language(people: People, chat: int = GROUP) -> str | None:
    """Return what was chosen."""
    found = await people.rows("SELECT language FROM chats WHERE chat_id = %s", chat)
    return found[0]["language"] if found else None


def say(key: str, **values: str) -> str:
    return texts.say(key, "en", **values)


async def test_an_administrator_chooses_and_the_reply_says_who_did(people: People) -> None:
    people.telegram.administrators = {OWNER}
    sent = await offer(people)
    assert await people.presses(GROUP, sent, OWNER, "language:fr") == say("language_set", language="French")
    assert await language(people) == "fr"
    shown = people.telegram.shown[GROUP, sent]
    assert shown["text"] == say("language_set_by", name="Person 1", language="French")
    assert not shown["reply_markup"]


async def test_nobody_else_chooses_where_administrators_are_known_not_even_who_asked(people: People) -> None:
    people.telegram.administrators = {OWNER}
    sent = await offer(people)
    assert await people.presses(GROUP, sent, MEMBER, "language:fr") == say("not_administrator")
    assert await language(people) is None
    assert people.telegram.shown[GROUP, sent]["reply_markup"]


@pytest.mark.parametrize(("user", "chosen"), [(MEMBER, "fr"), (OWNER, None)])
async def test_who_asked_chooses_where_administrators_are_not_told(
    user: int, chosen: str | None, people: People
) -> None:
    people.telegram.administrators = None
    told = await people.presses(GROUP, await offer(people), user, "language:fr")
    assert await language(people) == chosen
    assert told == (say("language_set", language="French") if chosen else say("not_yours"))


async def test_nothing_changes_while_telegram_does_not_answer(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(method: GetRawMember) -> None:
        raise TelegramNetworkError(method, "no answer")

    sent = await offer(people)
    monkeypatch.setattr(people.telegram, "_members", fails)
    assert await people.presses(GROUP, sent, MEMBER, "language:fr") == say("rights_unknown")
    assert await language(people) is None


async def test_presses_do_not_make_the_bot_ask_again_and_again(people: People) -> None:
    people.telegram.administrators = {OWNER}
    sent = await offer(people)
    for _ in range(5):
        await people.presses(GROUP, sent, MEMBER, "language:fr")
    assert sum(isinstance(call, GetRawMember) for call in people.telegram.calls) == 1


@pytest.mark.parametrize("data", ["language:fr", "language:xx", "language:", "lang", "", "forget:1"])
async def test_a_button_that_a_transcript_never_had_changes_nothing(data: str, people: People) -> None:
    people.telegram.administrators = {OWNER}
    heard = await people.writes(GROUP, MEMBER, **voice(1))
    await people.hears(GROUP, heard, "what was said")
    sent, _ = people.last(GROUP)
    assert await people.presses(GROUP, sent, OWNER, data) == say("button_old")
    assert (people.said(GROUP), await language(people)) == (["what was said"], None)


async def test_a_button_works_once(people: People) -> None:
    people.telegram.administrators = {OWNER}
    sent = await offer(people)
    await people.presses(GROUP, sent, OWNER, "language:fr")
    assert await people.presses(GROUP, sent, OWNER, "language:ru") == say("button_old")
    assert await language(people) == "fr"


async def test_a_button_of_another_chat_changes_nothing(people: People) -> None:
    sent = await offer(people, MEMBER, MEMBER)
    assert await people.presses(OWNER, sent, OWNER, "language:fr") == say("button_old")
    assert (await language(people, MEMBER), await language(people, OWNER)) == (None, None)


async def test_a_button_is_known_before_the_id_of_its_message_is_recorded(people: People) -> None:
    sent = await offer(people, MEMBER, MEMBER)
    await people.rows("UPDATE outbox SET sent_id = NULL, shown = 0, sending_at = now()")
    await people.presses(MEMBER, sent, MEMBER, "language:fr")
    assert await language(people, MEMBER) == "fr"


async def test_in_a_group_nobodys_own_language_decides_what_is_heard(people: People) -> None:
    for user, own in ((OWNER, "ru"), (MEMBER, "fr")):
        await people.writes(GROUP, user, own, **voice(user))
    await people.writes(OWNER, OWNER, "ru", **voice(3))
    found = await people.rows("SELECT chat_id, language FROM messages ORDER BY id")
    assert [(row["chat_id"], row["language"]) for row in found] == [
        (GROUP, "en"),
        (GROUP, "en"),
        (OWNER, "ru"),
    ]


async def test_everybody_is_heard_in_the_language_that_the_group_has(people: People) -> None:
    people.telegram.administrators = {OWNER}
    await people.presses(GROUP, await offer(people), OWNER, "language:fr")
    await people.writes(GROUP, MEMBER, "ru", **voice(1))
    assert (await people.rows("SELECT language FROM messages"))[0]["language"] == "fr"
