"""What people do: write, edit, press, react, block; each makes the update that Telegram would send."""

import secrets
import time
from typing import Any

from aisha_sandbox.answers import ApiError, bad_request
from aisha_sandbox.chats import PRESENT, Chats
from aisha_sandbox.entities import automatic, utf16_slice
from aisha_sandbox.hub import Hub
from aisha_sandbox.messages import Messages
from aisha_sandbox.state import Json, State, now
from aisha_sandbox.updates import Updates

CALLBACK_SECONDS = 150
CALLBACK_TOPIC = "callbacks"
RIGHTS = (
    "can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats",
    "can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users", "can_post_stories",
    "can_edit_stories", "can_delete_stories", "can_send_welcome_messages",
)  # fmt: skip
RESTRICTED_RIGHTS = (
    "can_send_messages", "can_send_audios", "can_send_documents", "can_send_photos", "can_send_videos",
    "can_send_video_notes", "can_send_voice_notes", "can_send_polls", "can_send_other_messages",
    "can_add_web_page_previews", "can_change_info", "can_invite_users", "can_pin_messages",
    "can_manage_topics",
    "can_react_to_messages", "can_edit_tag",
)  # fmt: skip


def member(status: str, user: Json) -> Json:
    """Return a ChatMember object."""
    found: Json = {"status": status, "user": user}
    if status == "kicked":
        found["until_date"] = 0
    elif status == "creator":
        found["is_anonymous"] = False
    elif status == "administrator":
        found |= dict.fromkeys(RIGHTS, False) | {"can_manage_chat": True, "can_delete_messages": True}
    elif status == "restricted":
        found |= dict.fromkeys(RESTRICTED_RIGHTS, False) | {"is_member": True, "until_date": 0}
    return found


class People:
    """The users' side of every chat."""

    def __init__(self, state: State, hub: Hub, chats: Chats, messages: Messages, updates: Updates) -> None:
        self._state = state
        self._hub = hub
        self._chats = chats
        self._messages = messages
        self._updates = updates

    def write(
        self, chat_id: int, user_id: int, content: Json, reply_to: int | None, date: int | None = None
    ) -> tuple[Json, int | None]:
        """Send a message as a user; return it and the update's id, None when the bot does not receive it.

        Raises:
            ApiError: the user is not in the chat, or has blocked the bot.
        """
        self._may_write(chat_id, user_id)
        if reply_to and self._messages.row(chat_id, reply_to) is None:
            raise bad_request("message to be replied not found")
        content = _with_entities(content)
        with self._state.transaction():
            self._chats.start(chat_id)
            message = self._messages.add(chat_id, user_id, content, reply_to, date=date)
            update_id = self._updates.push("message", message) if self._heard(message) else None
        self._chats.bot_status(chat_id)
        return message, update_id

    def _may_write(self, chat_id: int, user_id: int) -> None:
        if self._chats.status_of(chat_id, user_id) not in PRESENT:
            raise ApiError(403, "Forbidden: the user is not a member of the chat")
        if self._chats.is_private(chat_id) and self._chats.bot_status(chat_id) == "kicked":
            raise ApiError(409, "Conflict: the user has blocked the bot; unblock it first")

    def privacy(self) -> bool:
        """Tell whether the bot is in privacy mode: in groups it receives only what concerns it."""
        return not self._state.get("can_read_all_group_messages", True)

    def _heard(self, message: Json) -> bool:
        chat_id = message["chat"]["id"]
        if chat_id > 0:
            return True
        status = self._chats.bot_status(chat_id)
        if status not in PRESENT:
            return False
        return not self.privacy() or status == "administrator" or self._concerns(message)

    def _concerns(self, message: Json) -> bool:
        """Tell what privacy mode lets through: commands, mentions, replies to the bot, service messages."""
        bot = self._chats.bot()
        if message.get("reply_to_message", {}).get("from", {}).get("id") == bot["id"]:
            return True
        text = message.get("text") or message.get("caption") or ""
        for entity in message.get("entities") or message.get("caption_entities") or []:
            part = utf16_slice(text, entity["offset"], entity["length"]).lower()
            if entity["type"] == "mention" and part == f"@{bot['username']}".lower():
                return True
            if entity["type"] == "bot_command":
                _, _, named = part.partition("@")
                return not named or named == bot["username"].lower()
        return "new_chat_members" in message or "left_chat_member" in message

    def rewrite(self, chat_id: int, message_id: int, changes: Json) -> tuple[Json, int | None]:
        """Edit a user's message: its text, caption or anything given.

        Raises:
            ApiError: there is none, or it is the bot's.
        """
        row = self._messages.row(chat_id, message_id)
        if row is None:
            raise bad_request("message to edit not found")
        if row["sender_id"] == self._chats.bot_id:
            raise bad_request("message can't be edited")
        old = {
            k: v for k, v in self._messages.content(row).items() if k not in {"entities", "caption_entities"}
        }
        with self._state.transaction():
            message = self._messages.edit(row, _with_entities(old | changes))
            update_id = self._updates.push("edited_message", message) if self._heard(message) else None
        return message, update_id

    def press(self, chat_id: int, message_id: int, user_id: int, data: str) -> str:
        """Press an inline button with callback data; return the callback query's id.

        Raises:
            ApiError: there is no such button.
        """
        row = self._messages.row(chat_id, message_id)
        if row is None:
            raise bad_request("message not found")
        rows = self._messages.content(row).get("reply_markup", {}).get("inline_keyboard", [])
        if not any(button.get("callback_data") == data for buttons in rows for button in buttons):
            raise bad_request(f"no button with callback_data {data!r}")
        query_id = str(secrets.randbelow(9 * 10**17) + 10**17)
        query = {
            "id": query_id,
            "from": self._chats.user(user_id),
            "message": self._messages.render(row),
            "chat_instance": str(7_000_000_000 + abs(chat_id)),
            "data": data,
        }
        with self._state.transaction():
            self._state.run(
                "INSERT INTO callbacks VALUES (?, ?, ?, ?, ?, ?, NULL)",
                query_id, time.time(), chat_id, message_id, user_id, data,
            )  # fmt: skip
            self._updates.push("callback_query", query)
        return query_id

    def react(self, chat_id: int, message_id: int, user_id: int, reactions: list[Json]) -> int | None:
        """Put a user's reactions on a message."""
        row = self._messages.row(chat_id, message_id)
        if row is None:
            raise bad_request("message not found")
        with self._state.transaction():
            before = self._messages.react(row, user_id, reactions)
            change = {
                "chat": self._chats.chat(chat_id),
                "message_id": message_id,
                "user": self._chats.user(user_id),
                "date": now(),
                "old_reaction": before,
                "new_reaction": reactions,
            }
            return self._updates.push("message_reaction", change)

    def change_bot(self, chat_id: int, status: str, user_id: int | None = None) -> int | None:
        """Block, unblock, add, promote or kick the bot: a my_chat_member update."""
        user_id = user_id or self._chats.members(chat_id)[0]
        bot = self._chats.bot()
        with self._state.transaction():
            before = self._chats.set_bot_status(chat_id, status)
            if before == status:
                return None
            change: dict[str, Any] = {
                "chat": self._chats.chat(chat_id),
                "from": self._chats.user(user_id),
                "date": now(),
                "old_chat_member": member(before, bot),
                "new_chat_member": member(status, bot),
            }
            return self._updates.push("my_chat_member", change)


def _with_entities(content: Json) -> Json:
    """Add the entities that a client would, unless they are given."""
    content = dict(content)
    for text, entities in (("text", "entities"), ("caption", "caption_entities")):
        if content.get(text) and entities not in content:
            found = automatic(content[text], [])
            if found:
                content[entities] = found
    return content
