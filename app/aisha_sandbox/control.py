"""The control API under /sandbox/api: what people do, what the bot said, and failures on demand.

`docs/sandbox.md` shows every endpoint with an example. Answers are JSON; a failure is `{"error": "..."}`.
"""

import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from aisha_sandbox.answers import ApiError, bad_request
from aisha_sandbox.calls import TOPIC as CALLS
from aisha_sandbox.chats import BOT_STATUSES, GROUPS
from aisha_sandbox.core import CORE, Core
from aisha_sandbox.files import Upload
from aisha_sandbox.messages import TOPIC as MESSAGES
from aisha_sandbox.methods.bot import get_me, suggested
from aisha_sandbox.methods.chats import checked
from aisha_sandbox.methods.sending import forwarded, media_fields
from aisha_sandbox.params import Params, read
from aisha_sandbox.people import CALLBACK_TOPIC
from aisha_sandbox.state import Json, dumps

MEDIA = ("voice", "audio", "video_note", "video", "document", "photo", "animation")
GIVEN = (
    "duration", "width", "height", "length", "mime_type", "file_name", "title", "performer",
)  # fmt: skip
LONGEST_WAIT_SECONDS = 60

Handler = Callable[[Core, web.Request, Params], Awaitable[Any]]


def routes() -> list[web.AbstractRouteDef]:
    """Return the control API's addresses."""
    chat, message = r"/chats/{chat:-?\d+}", r"/chats/{chat:-?\d+}/messages/{message:\d+}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/state", state),
        ("GET", "/settings", settings),
        ("PATCH", "/settings", change_settings),
        ("GET", "/users", users),
        ("POST", "/users", create_user),
        ("PATCH", r"/users/{user:\d+}", change_user),
        ("GET", "/chats", chats),
        ("POST", "/chats", create_chat),
        ("GET", chat, show_chat),
        ("POST", chat + "/members", add_member),
        ("POST", chat + "/bot", change_bot),
        ("GET", chat + "/commands", commands),
        ("GET", chat + "/messages", messages),
        ("POST", chat + "/messages", send),
        ("GET", message, show_message),
        ("PATCH", message, edit),
        ("DELETE", message, delete),
        ("POST", message + "/press", press),
        ("POST", message + "/react", react),
        ("GET", r"/callbacks/{id:\d+}", callback),
        ("GET", "/updates", updates),
        ("POST", "/updates", inject),
        ("GET", "/calls", calls),
        ("GET", "/faults", faults),
        ("POST", "/faults", add_fault),
        ("DELETE", "/faults", clear_faults),
        ("DELETE", "/files/{name}", forget_file),
    ]
    return [web.route(verb, f"/sandbox/api{path}", _served(handler)) for verb, path, handler in table]


def _served(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        core = request.app[CORE]
        params = Params()
        try:
            params = await read(request, core.files)
            return _json(200, await handler(core, request, params))
        except ApiError as error:
            return _json(error.code, {"error": error.description})
        except (LookupError, TypeError, ValueError) as error:
            return _json(400, {"error": f"{type(error).__name__}: {error}"})
        finally:
            params.discard()

    return serve


def _json(status: int, body: Any) -> web.Response:
    return web.Response(text=dumps(body), status=status, content_type="application/json")


def _wait(params: Params) -> float:
    return min(max(float(params.values.get("timeout", 0)), 0), LONGEST_WAIT_SECONDS)


def _chat(request: web.Request) -> int:
    return int(request.match_info["chat"])


async def state(core: Core, request: web.Request, params: Params) -> Json:
    """Return what the web chat shows first: bot, users, chats with their last messages."""
    return {
        "bot": await get_me(core, params),
        "users": core.chats.users(),
        "chats": await chats(core, request, params),
        "description": core.state.get("description", {}),
    }


async def settings(core: Core, request: web.Request, params: Params) -> Json:
    """Return the switches."""
    return {
        "file_limit": core.file_limit,
        "can_read_all_group_messages": not core.people.privacy(),
        "enforce_rates": core.rates.enforced,
    }


async def change_settings(core: Core, request: web.Request, params: Params) -> Json:
    """Change switches."""
    if "file_limit" in params.values:
        core.file_limit = params.number("file_limit")
    if "can_read_all_group_messages" in params.values:
        core.state.put("can_read_all_group_messages", params.flag("can_read_all_group_messages"))
    if "enforce_rates" in params.values:
        core.rates.enforced = params.flag("enforce_rates")
    return await settings(core, request, params)


async def users(core: Core, request: web.Request, params: Params) -> list[Json]:
    """Return every person."""
    return core.chats.users()


async def create_user(core: Core, request: web.Request, params: Params) -> Json:
    """Create a person, with a private chat that counts as started unless `started` is false."""
    return core.chats.create_user(
        params.values, started="started" not in params.values or params.flag("started")
    )


async def change_user(core: Core, request: web.Request, params: Params) -> Json:
    """Change a person's names or language; an empty text removes one."""
    names = {"first_name", "last_name", "username", "language_code"}
    allowed = {k: v for k, v in params.values.items() if k in names}
    return core.chats.update_user(int(request.match_info["user"]), allowed)


def _summary(core: Core, chat_id: int) -> Json:
    last = core.messages.views(chat_id, limit=1)
    return core.chats.chat(chat_id) | {
        "bot_status": core.chats.bot_status(chat_id),
        "started": core.chats.started(chat_id),
        "members": core.chats.members(chat_id),
        "last": last[0] if last else None,
    }


async def chats(core: Core, request: web.Request, params: Params) -> list[Json]:
    """Return every chat with its members, the bot's status and the last message."""
    return [_summary(core, chat_id) for chat_id in core.chats.ids()]


async def show_chat(core: Core, request: web.Request, params: Params) -> Json:
    """Return one chat."""
    return _summary(core, _chat(request))


async def create_chat(core: Core, request: web.Request, params: Params) -> Json:
    """Create a group with members; the bot is one of them."""
    kind = params.text("type", "group") or "group"
    if kind not in GROUPS:
        raise bad_request("type must be group or supergroup; a private chat comes with its user")
    members = [int(m) for m in params.json("members") or []] or [core.chats.users()[0]["id"]]
    group = core.chats.create_group(
        kind, params.text("title", "Group") or "Group", members, params.number("id")
    )
    core.state.run("UPDATE chats SET bot_status = 'left' WHERE id = ?", group["id"])
    core.people.change_bot(group["id"], "member", members[0])
    return _summary(core, group["id"])


async def add_member(core: Core, request: web.Request, params: Params) -> Json:
    """Make a person a member of a group, with the service message about it."""
    chat_id, user_id = _chat(request), params.number("user_id")
    core.chats.join(chat_id, user_id)
    user = core.chats.user(user_id)
    core.people.write(chat_id, user_id, {"new_chat_members": [user], "new_chat_participant": user}, None)
    return _summary(core, chat_id)


async def change_bot(core: Core, request: web.Request, params: Params) -> Json:
    """Block (`kicked` in a private chat), unblock, kick, add or promote the bot."""
    status = params.text("status")
    if status not in BOT_STATUSES:
        raise bad_request(f"status must be one of {', '.join(sorted(BOT_STATUSES))}")
    update_id = core.people.change_bot(_chat(request), status, params.number("user_id") or None)
    return _summary(core, _chat(request)) | {"update_id": update_id}


async def commands(core: Core, request: web.Request, params: Params) -> list[Json]:
    """Return the commands that a client suggests in a chat, in a language."""
    return suggested(core, _chat(request), params.text("language", "") or "")


async def messages(core: Core, request: web.Request, params: Params) -> Json:
    """Return messages as they are now, with history; with `since`, those changed after that version."""
    chat_id, since = _chat(request), params.number("since")
    core.chats.chat(chat_id)
    limit, before = params.number("limit", 200), params.number("before") or None
    only_bot = params.flag("from_bot")

    def look() -> list[Json]:
        views = core.messages.views(chat_id, since, limit, before)
        return [view for view in views if view["from_bot"] or not only_bot]

    found = await core.hub.wait(MESSAGES, look, _wait(params))
    return {"messages": found, "version": max([since, *(view["version"] for view in found)])}


async def show_message(core: Core, request: web.Request, params: Params) -> Json:
    """Return one message, deleted ones included."""
    row = core.messages.row(_chat(request), int(request.match_info["message"]), deleted=True)
    if row is None:
        raise ApiError(404, "Not Found: message")
    return core.messages.view(row)


async def send(core: Core, request: web.Request, params: Params) -> Json:
    """Send as a person: text, a file, several files as an album, or a message of another chat."""
    chat_id = _chat(request)
    user_id = params.number("from") or core.chats.members(chat_id)[0]
    reply_to, date = params.number("reply_to") or None, params.number("date") or None
    sent = []
    for content in await _contents(core, params):
        content |= params.json("extra") or {}
        message, update_id = core.people.write(chat_id, user_id, content, reply_to, date)
        sent.append({"message": message, "update_id": update_id})
    return sent[0] | ({"album": sent} if len(sent) > 1 else {})


async def _contents(core: Core, params: Params) -> list[Json]:
    if forward := params.json("forward"):
        row = core.messages.row(forward["chat_id"], forward["message_id"])
        if row is None:
            raise ApiError(404, "Not Found: message to forward")
        return [forwarded(core, row)]
    uploads = list(params.uploads.values())
    paths = params.json("paths") or ([params.text("path")] if "path" in params.values else [])
    adopted = [await core.files.adopt(Path(path), params.text("file_name")) for path in paths]
    uploads += adopted
    if not uploads:
        if not params.text("text"):
            raise bad_request("give text, path, paths or a file")
        return [_texts(params, "text", "entities")]
    try:
        kind = params.text("kind", "auto") or "auto"
        contents = [media_fields(*await _stored(core, params, kind, upload)) for upload in uploads]
    finally:
        for upload in adopted:
            upload.discard()
    group = params.text("media_group_id") or (str(secrets.randbelow(10**17)) if len(contents) > 1 else None)
    contents[0] |= _texts(params, "caption", "caption_entities")
    return [content | ({"media_group_id": group} if group else {}) for content in contents]


def _texts(params: Params, text: str, entities: str) -> Json:
    found: Json = {text: params.text(text)} if params.text(text) else {}
    return found | ({entities: params.json(entities)} if entities in params.values else {})


async def _stored(core: Core, params: Params, kind: str, upload: Upload) -> tuple[str, Json]:
    kind = guessed(upload) if kind == "auto" else kind
    if kind not in MEDIA:
        raise bad_request(f"kind must be auto or one of {', '.join(MEDIA)}")
    if kind == "voice":
        upload = await core.files.voice(upload)
    given = {name: params.values[name] for name in GIVEN if name in params.values}
    return kind, await core.files.store(upload, kind, given)


def guessed(upload: Upload) -> str:
    """Return what a client would send a dropped file as: by its name, then by its MIME type."""
    suffix = Path(upload.name).suffix.lower()
    mime = upload.mime_type or ""
    if suffix in {".ogg", ".oga", ".opus"} or mime == "audio/ogg":
        return "voice"
    if suffix in {".mp3", ".m4a", ".wav", ".flac", ".aac"} or mime.startswith("audio/"):
        return "audio"
    if suffix in {".mp4", ".mov", ".webm", ".mkv"} or mime.startswith("video/"):
        return "video"
    return "photo" if suffix in {".jpg", ".jpeg", ".png", ".webp"} else "document"


async def edit(core: Core, request: web.Request, params: Params) -> Json:
    """Edit a person's message."""
    names = ("text", "caption", "entities", "caption_entities")
    changes = {name: params.json(name) if "entities" in name else params.text(name) for name in names if name in params.values}  # fmt: skip  # noqa: E501
    changes |= params.json("extra") or {}
    message, update_id = core.people.rewrite(_chat(request), int(request.match_info["message"]), changes)
    return {"message": message, "update_id": update_id}


async def delete(core: Core, request: web.Request, params: Params) -> Json:
    """Delete any message as a person; bots are not told."""
    row = core.messages.row(_chat(request), int(request.match_info["message"]))
    if row is None:
        raise ApiError(404, "Not Found: message")
    core.messages.delete(row)
    return {"deleted": True}


async def press(core: Core, request: web.Request, params: Params) -> Json:
    """Press an inline button, named by its data or its text; wait `timeout` seconds for the bot's answer."""
    chat_id, message_id = _chat(request), int(request.match_info["message"])
    user_id = params.number("user_id") or core.chats.members(chat_id)[0]
    data = params.text("data") or _data_of(core, chat_id, message_id, params.text("text") or "")
    query_id = core.people.press(chat_id, message_id, user_id, data)
    answer = await core.hub.wait(CALLBACK_TOPIC, lambda: _callback(core, query_id), _wait(params))
    return {"callback_query_id": query_id, "answer": answer}


def _data_of(core: Core, chat_id: int, message_id: int, text: str) -> str:
    row = core.messages.row(chat_id, message_id)
    rows = core.messages.content(row).get("reply_markup", {}).get("inline_keyboard", []) if row else []
    for button in (button for buttons in rows for button in buttons):
        if button["text"] == text and "callback_data" in button:
            return str(button["callback_data"])
    raise bad_request(f"no button with callback_data named {text!r}")


def _callback(core: Core, query_id: str) -> Json | None:
    row = core.state.row("SELECT answer FROM callbacks WHERE id = ?", query_id)
    if row is None:
        raise ApiError(404, "Not Found: callback query")
    answer: Json | None = json.loads(row["answer"]) if row["answer"] else None
    return answer


async def callback(core: Core, request: web.Request, params: Params) -> Json:
    """Return the bot's answer to a pressed button, waiting for it."""
    query_id = request.match_info["id"]
    answer = await core.hub.wait(CALLBACK_TOPIC, lambda: _callback(core, query_id), _wait(params))
    return {"callback_query_id": query_id, "answer": answer}


async def react(core: Core, request: web.Request, params: Params) -> Json:
    """Put a person's reaction on a message; an empty emoji removes it."""
    chat_id = _chat(request)
    user_id = params.number("user_id") or core.chats.members(chat_id)[0]
    emoji = params.text("emoji")
    reactions = checked([{"type": "emoji", "emoji": emoji}] if emoji else [])
    update_id = core.people.react(chat_id, int(request.match_info["message"]), user_id, reactions)
    return {"update_id": update_id}


async def updates(core: Core, request: web.Request, params: Params) -> Json:
    """Return how many updates wait for the bot, and which."""
    return {"pending": core.updates.pending(), "updates": [body for _, body in core.updates.waiting()]}


async def inject(core: Core, request: web.Request, params: Params) -> Json:
    """Queue an update verbatim."""
    return {"update_id": core.updates.inject(params.values)}


async def calls(core: Core, request: web.Request, params: Params) -> Json:
    """Return the Bot API calls after `since`, waiting for the first."""
    since, limit = params.number("since"), params.number("limit", 1000)
    method, chat_id = params.text("method"), params.number("chat_id") or None
    found = await core.hub.wait(CALLS, lambda: core.calls.since(since, method, chat_id, limit), _wait(params))
    return {"calls": found, "last": core.calls.last()}


async def faults(core: Core, request: web.Request, params: Params) -> list[Json]:
    """Return the faults that are still to come."""
    return core.faults.list()


async def add_fault(core: Core, request: web.Request, params: Params) -> Json:
    """Spoil the next calls of a method."""
    return core.faults.add(params.values)


async def clear_faults(core: Core, request: web.Request, params: Params) -> Json:
    """Forget all faults."""
    core.faults.clear()
    return {"cleared": True}


async def forget_file(core: Core, request: web.Request, params: Params) -> Json:
    """Make a file unavailable, as Telegram's old files are."""
    count = core.files.forget(request.match_info["name"])
    if not count:
        raise ApiError(404, "Not Found: file")
    return {"sendings": count}
