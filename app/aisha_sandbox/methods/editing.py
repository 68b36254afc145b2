"""Changes to messages: https://core.telegram.org/bots/api#updating-messages."""

import sqlite3
from typing import Any

from aisha_sandbox import markup
from aisha_sandbox.answers import bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.methods.registry import method
from aisha_sandbox.methods.sending import caption_content, text_content
from aisha_sandbox.params import Params
from aisha_sandbox.state import Json

NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a"
    " current content and reply markup of the message"
)
CAPTIONED = {"voice", "audio", "video", "photo", "document", "animation"}


def _editable(core: Core, params: Params) -> sqlite3.Row:
    chat_id = core.chats.writable(params.values.get("chat_id"))
    if not params.number("message_id"):
        raise bad_request("message identifier is not specified")
    row = core.messages.row(chat_id, params.number("message_id"))
    if row is None:
        raise bad_request("message to edit not found")
    if row["sender_id"] != core.chats.bot_id or "forward_origin" in core.messages.content(row):
        raise bad_request("message can't be edited")
    return row


def _replace(core: Core, params: Params, row: sqlite3.Row, fields: tuple[str, ...], new: Json) -> Json:
    """Replace these fields and the inline keyboard, which an edit without one removes."""
    old = core.messages.content(row)
    new_markup = markup.inline(markup.parsed(params.values.get("reply_markup")))
    kept = {k: v for k, v in old.items() if k not in (*fields, "reply_markup")}
    content = kept | new | new_markup
    if content == old:
        raise bad_request(NOT_MODIFIED)
    core.rates.check(row["chat_id"]) if row["chat_id"] < 0 else None
    return core.messages.edit(row, content)


@method
async def edit_message_text(core: Core, params: Params) -> Json:
    """Change a text message."""
    new = text_content(params)
    row = _editable(core, params)
    if "text" not in core.messages.content(row):
        raise bad_request("there is no text in the message to edit")
    return _replace(core, params, row, ("text", "entities"), new)


@method
async def edit_message_caption(core: Core, params: Params) -> Json:
    """Change the caption of a file."""
    new = caption_content(params)
    row = _editable(core, params)
    if not CAPTIONED & core.messages.content(row).keys():
        raise bad_request("there is no caption in the message to edit")
    return _replace(core, params, row, ("caption", "caption_entities"), new)


@method
async def edit_message_reply_markup(core: Core, params: Params) -> Json:
    """Change or remove the inline keyboard."""
    return _replace(core, params, _editable(core, params), (), {})


@method
async def delete_message(core: Core, params: Params) -> bool:
    """Delete a message: the bot's own, any in a private chat, or any as a group's administrator."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    row = core.messages.row(chat_id, params.number("message_id"))
    if row is None:
        raise bad_request("message to delete not found")
    own = row["sender_id"] == core.chats.bot_id
    if not own and chat_id < 0 and core.chats.bot_status(chat_id) != "administrator":
        raise bad_request("message can't be deleted")
    core.messages.delete(row)
    return True


@method
async def delete_messages(core: Core, params: Params) -> bool:
    """Delete 1 to 100 messages; those that are not there are skipped."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    numbers: list[Any] = params.json("message_ids") or []
    if not 1 <= len(numbers) <= 100:
        raise bad_request(
            "message identifiers are not specified" if not numbers else "too many message identifiers"
        )
    for number in numbers:
        if row := core.messages.row(chat_id, number):
            core.messages.delete(row)
    return True
