import json

import aiohttp
import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramForbiddenError
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, ReactionTypeEmoji, ReplyParameters
from tests.integration.sandbox.client import Control

from aisha_sandbox.server import Sandbox

MARKUP = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Yes", callback_data="yes")]])


async def test_editing_sets_the_date_and_the_same_content_again_is_refused(bot: Bot, ann: int) -> None:
    sent = await bot.send_message(ann, "draft")
    edited = await bot.edit_message_text("final", chat_id=ann, message_id=sent.message_id)
    assert (edited.text, edited.message_id) == ("final", sent.message_id)
    assert edited.edit_date
    with pytest.raises(
        TelegramBadRequest, match="message is not modified: specified new message content and"
    ):
        await bot.edit_message_text("final", chat_id=ann, message_id=sent.message_id)


async def test_an_edit_without_a_keyboard_removes_it(bot: Bot, ann: int) -> None:
    sent = await bot.send_message(ann, "choose", reply_markup=MARKUP)
    edited = await bot.edit_message_text("choose", chat_id=ann, message_id=sent.message_id)
    assert edited.reply_markup is None


async def test_only_the_bots_own_messages_can_be_edited(bot: Bot, control: Control, ann: int) -> None:
    theirs = (await control.say(ann, "mine"))["message"]["message_id"]
    with pytest.raises(TelegramBadRequest, match="message can't be edited"):
        await bot.edit_message_text("x", chat_id=ann, message_id=theirs)
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("x", chat_id=ann, message_id=999)


async def test_the_history_keeps_every_earlier_text(bot: Bot, control: Control, ann: int) -> None:
    sent = await bot.send_message(ann, "one")
    for text in ("two", "three"):
        await bot.edit_message_text(text, chat_id=ann, message_id=sent.message_id)
    view = await control.ask("GET", f"/chats/{ann}/messages/{sent.message_id}")
    assert [edit["content"]["text"] for edit in view["history"]] == ["one", "two"]
    assert view["message"]["text"] == "three"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a" * 4097, "message is too long"),
        ("😀" * 2049, "message is too long"),
        (" \n ", "message text is empty"),
    ],
)
async def test_a_text_is_limited_in_utf16_units(bot: Bot, ann: int, text: str, reason: str) -> None:
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.send_message(ann, text)


async def test_the_longest_text_is_sent(bot: Bot, ann: int) -> None:
    assert len((await bot.send_message(ann, "😀" * 2048)).text) == 2048


async def test_a_reply_shows_its_target_even_after_an_edit(bot: Bot, control: Control, ann: int) -> None:
    asked = (await control.say(ann, "what?"))["message"]["message_id"]
    sent = await bot.send_message(ann, "that", reply_parameters=ReplyParameters(message_id=asked))
    edited = await bot.edit_message_text("this", chat_id=ann, message_id=sent.message_id)
    assert sent.reply_to_message.text == edited.reply_to_message.text == "what?"


async def test_a_reply_to_nothing_fails_unless_allowed(bot: Bot, ann: int) -> None:
    with pytest.raises(TelegramBadRequest, match="message to be replied not found"):
        await bot.send_message(ann, "x", reply_parameters=ReplyParameters(message_id=77))
    allowed = ReplyParameters(message_id=77, allow_sending_without_reply=True)
    assert (await bot.send_message(ann, "x", reply_parameters=allowed)).reply_to_message is None


async def test_private_chats_share_one_sequence_and_a_group_has_its_own(
    bot: Bot, control: Control, ann: int
) -> None:
    ben = await control.user(first_name="Ben")
    group = (await control.ask("POST", "/chats", type="supergroup", title="Club", members=[ann, ben]))["id"]
    numbers = [(await bot.send_message(chat, "x")).message_id for chat in (ann, ben, group, group)]
    assert numbers == [1, 2, 1, 2]


async def test_whom_the_bot_may_not_write_to(bot: Bot, control: Control, ann: int) -> None:
    group = (await control.ask("POST", "/chats", type="group", title="Club", members=[ann]))["id"]
    await control.ask("POST", f"/chats/{ann}/bot", status="kicked")
    await control.ask("POST", f"/chats/{group}/bot", status="kicked")
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(ann, "x")
    with pytest.raises(TelegramForbiddenError, match="bot was kicked from the group chat"):
        await bot.send_message(group, "x")
    with pytest.raises(TelegramBadRequest, match="chat not found"):
        await bot.send_message(424242, "x")
    statuses = [u.my_chat_member.new_chat_member.status for u in await bot.get_updates()]
    assert statuses == ["member", "kicked", "kicked"]


async def test_privacy_mode_hears_only_what_concerns_the_bot(bot: Bot, control: Control, ann: int) -> None:
    group = (await control.ask("POST", "/chats", type="group", title="Club", members=[ann]))["id"]
    await control.ask("PATCH", "/settings", can_read_all_group_messages=False)
    asked = (await bot.send_message(group, "?")).message_id
    for text in ("chatter", "/start", "@aisha_sandbox_bot hi", "/start@other_bot"):
        await control.say(group, text)
    await control.say(group, "answer", reply_to=asked)
    heard = [u.message.text for u in await bot.get_updates() if u.message]
    assert heard == ["/start", "@aisha_sandbox_bot hi", "answer"]


async def test_a_pressed_button_is_answered_once_known_and_not_when_unknown(
    bot: Bot, control: Control, ann: int
) -> None:
    sent = await bot.send_message(ann, "sure?", reply_markup=MARKUP)
    pressed = await control.ask("POST", f"/chats/{ann}/messages/{sent.message_id}/press", data="yes")
    (update,) = await bot.get_updates()
    assert update.callback_query.id == pressed["callback_query_id"]
    await update.callback_query.answer("Done", show_alert=True).as_(bot)
    told = await control.ask("GET", f"/callbacks/{update.callback_query.id}?timeout=2")
    assert told["answer"] == {"text": "Done", "show_alert": True, "url": None}
    with pytest.raises(TelegramBadRequest, match="query is too old and response timeout expired or query ID"):
        await bot.answer_callback_query("1")


async def test_an_old_query_cannot_be_answered(
    bot: Bot, control: Control, sandbox: Sandbox, ann: int
) -> None:
    sent = await bot.send_message(ann, "sure?", reply_markup=MARKUP)
    pressed = await control.ask("POST", f"/chats/{ann}/messages/{sent.message_id}/press", text="Yes")
    sandbox.core.state.run("UPDATE callbacks SET at = at - 151")
    with pytest.raises(TelegramBadRequest, match="query is too old"):
        await bot.answer_callback_query(pressed["callback_query_id"])


async def test_callback_data_over_64_bytes_is_refused(bot: Bot, ann: int) -> None:
    long = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="x", callback_data="я" * 33)]])
    with pytest.raises(TelegramBadRequest, match="BUTTON_DATA_INVALID"):
        await bot.send_message(ann, "x", reply_markup=long)


async def test_only_listed_emoji_are_reactions(bot: Bot, control: Control, ann: int) -> None:
    number = (await control.say(ann, "look"))["message"]["message_id"]
    await bot.set_message_reaction(ann, number, [ReactionTypeEmoji(emoji="👀")])
    view = await control.ask("GET", f"/chats/{ann}/messages/{number}")
    assert view["reactions"] == {str(bot.id): [{"type": "emoji", "emoji": "👀"}]}
    with pytest.raises(TelegramBadRequest, match="REACTION_INVALID"):
        await bot.set_message_reaction(ann, number, [ReactionTypeEmoji(emoji="🍏")])


async def test_a_person_edits_and_the_bot_hears_of_it(bot: Bot, control: Control, ann: int) -> None:
    number = (await control.say(ann, "frist"))["message"]["message_id"]
    await control.ask("PATCH", f"/chats/{ann}/messages/{number}", text="first")
    assert (await bot.get_updates())[-1].edited_message.text == "first"


async def test_a_deleted_message_cannot_be_edited_or_deleted_again(bot: Bot, ann: int) -> None:
    sent = await bot.send_message(ann, "x")
    assert await bot.delete_message(ann, sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message to edit not found"):
        await bot.edit_message_text("y", chat_id=ann, message_id=sent.message_id)
    with pytest.raises(TelegramBadRequest, match="message to delete not found"):
        await bot.delete_message(ann, sent.message_id)


@pytest.mark.parametrize("how", ["query", "form", "json", "multipart"])
async def test_parameters_come_in_every_documented_way(sandbox: Sandbox, ann: int, how: str) -> None:
    url, values = f"{sandbox.url}/bot{sandbox.token}/sendMessage", {"chat_id": str(ann), "text": "hi & bye"}
    form = aiohttp.FormData(values, default_to_multipart=True)
    sent = {
        "query": {"params": values},
        "form": {"data": values},
        "json": {"json": values},
        "multipart": {"data": form},
    }
    async with aiohttp.ClientSession() as http, http.post(url, **sent[how]) as response:
        assert json.loads(await response.text())["result"]["text"] == "hi & bye"


async def test_a_reply_of_the_bot_stays_in_the_topic_and_so_does_what_is_sent_there(
    bot: Bot, control: Control, ann: int
) -> None:
    forum = (await control.ask("POST", "/chats", type="supergroup", title="Forum", members=[ann]))["id"]
    topic = {"message_thread_id": 5, "is_topic_message": True}
    asked = (await control.say(forum, "here", extra=topic))["message"]
    sent = await bot.send_message(forum, "there", message_thread_id=5)
    replied = await bot.send_message(forum, "too", reply_to_message_id=asked["message_id"])
    outside = await bot.send_message(forum, "outside")
    found = [(each.message_thread_id, each.is_topic_message) for each in (sent, replied, outside)]
    assert found == [(5, True), (5, True), (None, None)]


async def test_a_message_is_forwarded_by_a_person_with_its_origin(
    bot: Bot, control: Control, ann: int, speech: str
) -> None:
    bob = await control.user(first_name="Bob")
    group = (await control.ask("POST", "/chats", title="Club", members=[ann, bob]))["id"]
    voice = (await control.say(ann, kind="voice", path=speech))["message"]
    wanted = {"chat_id": ann, "message_id": voice["message_id"]}
    sent = (await control.say(group, **{"from": bob}, forward=wanted))["message"]
    assert (sent["voice"], sent["from"]["id"]) == (voice["voice"], bob)
    assert sent["forward_origin"]["sender_user"]["id"] == ann
    gone = await control.say(group, forward={"chat_id": ann, "message_id": 999})
    assert gone["status"] == 404


async def test_the_administrators_of_a_group_are_its_creator_and_who_was_promoted(
    bot: Bot, control: Control, ann: int
) -> None:
    bob = await control.user(first_name="Bob")
    group = (await control.ask("POST", "/chats", title="Club", members=[ann, bob]))["id"]
    assert [each.user.id for each in await bot.get_chat_administrators(group)] == [ann]
    await control.ask("POST", f"/chats/{group}/bot", status="administrator")
    assert [each.user.is_bot for each in await bot.get_chat_administrators(group)] == [True, False]
