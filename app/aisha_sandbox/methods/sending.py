"""Messages of the bot: text, files, forwards and copies: https://core.telegram.org/bots/api#available-methods."""

import secrets
from collections.abc import Callable
from typing import Any

from aisha_sandbox import markup
from aisha_sandbox.answers import ApiError, bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.entities import formatted, utf16_length
from aisha_sandbox.files import CLOUD_UPLOAD_LIMIT
from aisha_sandbox.methods.registry import method
from aisha_sandbox.params import Params
from aisha_sandbox.state import Json

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LEFT_BEHIND = {"reply_markup", "quote", "message_thread_id", "is_topic_message", "media_group_id"}
DESCRIBED = ("duration", "width", "height", "length", "performer", "title", "mime_type")


def text_content(params: Params) -> Json:
    """Return the text and its entities.

    Raises:
        ApiError: empty, too long or with broken markup.
    """
    text, entities = formatted(
        params.text("text", "") or "", params.text("parse_mode"), params.json("entities")
    )
    if not text:
        raise bad_request("message text is empty")
    if utf16_length(text) > LONGEST_TEXT:
        raise bad_request("message is too long")
    return {"text": text} | ({"entities": entities} if entities else {})


def caption_content(params: Params) -> Json:
    """Return the caption and its entities, if there is one.

    Raises:
        ApiError: too long or with broken markup.
    """
    caption, entities = formatted(
        params.text("caption", "") or "", params.text("parse_mode"), params.json("caption_entities")
    )
    if utf16_length(caption) > LONGEST_CAPTION:
        raise bad_request("message caption is too long")
    return ({"caption": caption} if caption else {}) | ({"caption_entities": entities} if entities else {})


def reply_target(core: Core, chat_id: int, params: Params) -> tuple[int | None, Json]:
    """Return the message that is replied to, and the quote to show.

    Raises:
        ApiError: there is no such message, and the caller does not allow that.
    """
    wanted = params.json("reply_parameters") or {}
    message_id = wanted.get("message_id") or params.number("reply_to_message_id")
    if not message_id:
        return None, {}
    row = core.messages.row(chat_id, message_id)
    if row is None:
        if wanted.get("allow_sending_without_reply") or params.flag("allow_sending_without_reply"):
            return None, {}
        raise bad_request("message to be replied not found")
    return int(message_id), _quote(core.messages.content(row), wanted)


def topic(core: Core, chat_id: int, params: Params, reply_to: int | None) -> Json:
    """Return the fields of a message in a forum's topic: the one that is named, else that of the message replied to."""
    if thread := params.number("message_thread_id"):
        return {"message_thread_id": thread, "is_topic_message": True}
    row = core.messages.row(chat_id, reply_to) if reply_to else None
    content = core.messages.content(row) if row else {}
    if not content.get("is_topic_message"):
        return {}
    return {name: content[name] for name in ("message_thread_id", "is_topic_message")}


def _quote(content: Json, wanted: Json) -> Json:
    if not wanted.get("quote"):
        return {}
    quote, entities = formatted(wanted["quote"], wanted.get("quote_parse_mode"), wanted.get("quote_entities"))
    position = (content.get("text") or content.get("caption") or "").find(quote)
    if position < 0:
        raise bad_request("QUOTE_TEXT_INVALID")
    found = {"text": quote, "position": utf16_length((content.get("text") or content["caption"])[:position])}
    return {"quote": found | ({"entities": entities} if entities else {}) | {"is_manual": True}}


def deliver(core: Core, params: Params, content: Callable[[], Json]) -> Json:
    """Check the chat, the reply and the markup, then send what `content` makes; return the Message."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    reply_markup = markup.parsed(params.values.get("reply_markup"))
    reply_to, quote = reply_target(core, chat_id, params)
    made = content()
    core.rates.check(chat_id)
    made |= quote | markup.inline(reply_markup) | topic(core, chat_id, params, reply_to)
    made |= {"has_protected_content": True} if params.flag("protect_content") else {}
    core.hub.publish("action", chat_id=chat_id, action=None)
    return core.messages.add(chat_id, core.chats.bot_id, made, reply_to, markup.keyboard(reply_markup))


@method
async def send_message(core: Core, params: Params) -> Json:
    """Send a text: https://core.telegram.org/bots/api#sendmessage."""
    return deliver(core, params, lambda: text_content(params))


async def file_content(core: Core, params: Params, kind: str, given: Any, described: Json) -> Json:
    """Return the media object of an upload, of `attach://NAME`, or of a file_id.

    Raises:
        ApiError: there is no such file, or it is larger than bots may upload.
    """
    upload = params.upload(kind, given)
    if upload is None:
        if not given or str(given).startswith("attach://"):
            raise bad_request(f"there is no {kind.replace('_', ' ')} in the request")
        return core.files.again(str(given), kind)
    if upload.size > CLOUD_UPLOAD_LIMIT and not core.local:
        raise ApiError(413, "Request Entity Too Large")
    if not upload.size:
        raise bad_request("file must be non-empty")
    return await core.files.store(upload, kind, described)


def media_fields(kind: str, media: Json) -> Json:
    """Return the fields of a Message that carry a media object."""
    if kind == "photo":
        return {"photo": [media]}
    return {"document": media, "animation": media} if kind == "animation" else {kind: media}


def _sender(kind: str) -> None:
    async def send(core: Core, params: Params) -> Json:
        chat_id = core.chats.writable(params.values.get("chat_id"))
        caption = caption_content(params)
        reply_target(core, chat_id, params)
        described = {name: params.values[name] for name in DESCRIBED if name in params.values}
        media = await file_content(core, params, kind, params.values.get(kind), described)
        return deliver(core, params, lambda: media_fields(kind, media) | caption)

    send.__name__ = f"send_{kind}"
    method(send)


for _kind in ("document", "voice", "audio", "video", "photo", "video_note", "animation"):
    _sender(_kind)


@method
async def send_media_group(core: Core, params: Params) -> list[Json]:
    """Send 2 to 10 files as one album."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    items = params.json("media") or []
    if not 2 <= len(items) <= 10:
        raise bad_request(
            "group send failed: MEDIA_INVALID" if len(items) < 2 else "too many messages to send as an album"
        )
    reply_to, quote = reply_target(core, chat_id, params)
    group = str(secrets.randbelow(10**17))
    contents = []
    for item in items:
        inner = Params(item, params.uploads)
        media = await file_content(core, params, item["type"], item.get("media"), item)
        contents.append(
            media_fields(item["type"], media) | caption_content(inner) | {"media_group_id": group}
        )
    return [core.messages.add(chat_id, core.chats.bot_id, content | quote, reply_to) for content in contents]


def _source(core: Core, params: Params, verb: str) -> tuple[int, Any]:
    from_chat = core.chats.resolve(params.values.get("from_chat_id"))
    row = core.messages.row(from_chat, params.number("message_id"))
    if row is None:
        raise bad_request(f"message to {verb} not found")
    return from_chat, row


@method
async def forward_message(core: Core, params: Params) -> Json:
    """Send a message on, with its origin."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    _, row = _source(core, params, "forward")
    return core.messages.add(chat_id, core.chats.bot_id, forwarded(core, row))


def forwarded(core: Core, row: Any) -> Json:
    """Return the content of a message with its origin, without what belongs to the place where it is."""
    content = {k: v for k, v in core.messages.content(row).items() if k not in LEFT_BEHIND}
    origin = {"type": "user", "sender_user": core.chats.user(row["sender_id"]), "date": row["date"]}
    return {"forward_origin": origin} | content


@method
async def copy_message(core: Core, params: Params) -> Json:
    """Send the same content as a message of the bot's own."""
    _, row = _source(core, params, "copy")
    content = {
        k: v for k, v in core.messages.content(row).items() if k not in {"reply_markup", "forward_origin"}
    }
    if "caption" in params.values:
        content = {k: v for k, v in content.items() if not k.startswith("caption")} | caption_content(params)
    return {"message_id": deliver(core, params, lambda: content)["message_id"]}


@method
async def send_chat_action(core: Core, params: Params) -> bool:
    """Show "typing" and the like for 5 seconds."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    action = params.text("action", "") or ""
    if action not in ACTIONS:
        raise bad_request("wrong parameter action in request")
    core.hub.publish("action", chat_id=chat_id, action=action)
    return True


ACTIONS = {
    "typing", "upload_photo", "record_video", "upload_video", "record_voice", "upload_voice",
    "upload_document",
    "choose_sticker", "find_location", "record_video_note", "upload_video_note",
}  # fmt: skip


@method
async def send_message_draft(core: Core, params: Params) -> bool:
    """Show a text that is still being written, for 30 seconds, in a private chat."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    if not core.chats.is_private(chat_id):
        raise bad_request("TEXTDRAFT_PEER_INVALID")
    draft_id = params.number("draft_id")
    if not draft_id:
        raise bad_request("draft_id must be non-zero")
    text, entities = formatted(
        params.text("text", "") or "", params.text("parse_mode"), params.json("entities")
    )
    if utf16_length(text) > LONGEST_TEXT:
        raise bad_request("message is too long")
    core.hub.publish("draft", chat_id=chat_id, draft_id=draft_id, text=text, entities=entities)
    return True
