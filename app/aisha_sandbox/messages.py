"""Messages: numbered, stored, edited, and shown as the Bot API shows them."""

import json
import sqlite3
import time
from typing import Any

from aisha_sandbox.chats import Chats
from aisha_sandbox.hub import Hub
from aisha_sandbox.state import Json, State, dumps, now

TOPIC = "messages"


class Messages:
    """Every message of every chat, its earlier forms, and a version that grows with each change."""

    def __init__(self, state: State, hub: Hub, chats: Chats) -> None:
        self._state = state
        self._hub = hub
        self._chats = chats

    def add(
        self,
        chat_id: int,
        sender_id: int,
        content: Json,
        reply_to: int | None = None,
        keyboard: Json | None = None,
        date: int | None = None,
    ) -> Json:
        """Store a message and return it; `keyboard` is a reply keyboard, which is not part of the message."""
        with self._state.transaction():
            message_id = self._number(chat_id)
            self._state.run(
                "INSERT INTO messages"
                " (chat_id, message_id, sender_id, date, reply_to, content, keyboard, version)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                chat_id, message_id, sender_id, date or now(), reply_to, dumps(content),
                dumps(keyboard) if keyboard else None, self._version(),
            )  # fmt: skip
        self._changed(chat_id, message_id)
        return self.show(chat_id, message_id)

    def _number(self, chat_id: int) -> int:
        """Private chats share one sequence; each group has its own."""
        if chat_id > 0:
            return self._state.next("message_id")
        self._state.run("UPDATE chats SET last_message_id = last_message_id + 1 WHERE id = ?", chat_id)
        row = self._state.row("SELECT last_message_id FROM chats WHERE id = ?", chat_id)
        return int(row[0]) if row else 1

    def _version(self) -> int:
        return self._state.next("message_version")

    def _changed(self, chat_id: int, message_id: int) -> None:
        self._hub.wake(TOPIC)
        if self._hub.pages:
            view = self.view(self.row(chat_id, message_id, deleted=True))
            self._hub.publish("message", chat_id=chat_id, view=view)

    def row(self, chat_id: int, message_id: Any, *, deleted: bool = False) -> sqlite3.Row | None:
        """Return the stored row of a message that is there, or was when `deleted`."""
        row = self._state.row(
            "SELECT * FROM messages WHERE chat_id = ? AND message_id = ?", chat_id, message_id
        )
        return row if row and (deleted or not row["deleted"]) else None

    def content(self, row: sqlite3.Row) -> Json:
        """Return what a message holds: its text or media, its markup."""
        found: Json = json.loads(row["content"])
        return found

    def show(self, chat_id: int, message_id: int) -> Json:
        """Return the Message object of a message that exists."""
        row = self.row(chat_id, message_id, deleted=True)
        if row is None:
            raise LookupError(f"no message {message_id} in chat {chat_id}")
        return self.render(row)

    def render(self, row: sqlite3.Row, *, nested: bool = False) -> Json:
        """Return the Message object; one that is replied to does not name its own reply."""
        message = {
            "message_id": row["message_id"],
            "from": self._chats.user(row["sender_id"]),
            "chat": self._chats.chat(row["chat_id"]),
            "date": row["date"],
        }
        if row["edit_date"]:
            message["edit_date"] = row["edit_date"]
        if row["reply_to"] and not nested:
            target = self.row(row["chat_id"], row["reply_to"])
            if target:
                message["reply_to_message"] = self.render(target, nested=True)
        return message | self.content(row)

    def edit(self, row: sqlite3.Row, content: Json, *, mark: bool = True) -> Json:
        """Give a message a new content, keeping the old one in its history; return the Message."""
        chat_id, message_id = row["chat_id"], row["message_id"]
        with self._state.transaction():
            self._state.run(
                "INSERT INTO edits VALUES (?, ?, ?, ?)", chat_id, message_id, time.time(), row["content"]
            )
            self._state.run(
                "UPDATE messages SET content = ?, edit_date = ?, version = ?"
                " WHERE chat_id = ? AND message_id = ?",
                dumps(content), now() if mark else row["edit_date"], self._version(), chat_id, message_id,
            )  # fmt: skip
        self._changed(chat_id, message_id)
        return self.show(chat_id, message_id)

    def delete(self, row: sqlite3.Row) -> None:
        """Delete a message; its number is never used again."""
        self._set(row, "deleted", 1)

    def react(self, row: sqlite3.Row, user_id: int, reactions: list[Json]) -> list[Json]:
        """Set a user's or the bot's reactions and return those before."""
        everyone = json.loads(row["reactions"])
        before: list[Json] = everyone.pop(str(user_id), [])
        if reactions:
            everyone[str(user_id)] = reactions
        self._set(row, "reactions", dumps(everyone))
        return before

    def _set(self, row: sqlite3.Row, column: str, value: Any) -> None:
        with self._state.transaction():
            self._state.run(
                f"UPDATE messages SET {column} = ?, version = ? WHERE chat_id = ? AND message_id = ?",  # noqa: S608
                value, self._version(), row["chat_id"], row["message_id"],
            )  # fmt: skip
        self._changed(row["chat_id"], row["message_id"])

    def view(self, row: sqlite3.Row | None) -> Json:
        """Return a message with what the Bot API does not show: history, reactions, keyboard, deletion."""
        if row is None:
            raise LookupError("no such message")
        edits = self._state.rows(
            "SELECT at, content FROM edits WHERE chat_id = ? AND message_id = ? ORDER BY rowid",
            row["chat_id"], row["message_id"],
        )  # fmt: skip
        return {
            "version": row["version"],
            "from_bot": row["sender_id"] == self._chats.bot_id,
            "deleted": bool(row["deleted"]),
            "message": self.render(row),
            "history": [{"replaced_at": e["at"], "content": json.loads(e["content"])} for e in edits],
            "reactions": json.loads(row["reactions"]),
            "keyboard": json.loads(row["keyboard"]) if row["keyboard"] else None,
        }

    def views(self, chat_id: int, since: int = 0, limit: int = 200, before: int | None = None) -> list[Json]:
        """Return the newest messages of a chat, oldest first, that changed after version `since`."""
        rows = self._state.rows(
            "SELECT * FROM (SELECT * FROM messages WHERE chat_id = ? AND version > ? AND message_id < ?"
            " AND (deleted = 0 OR ? > 0) ORDER BY message_id DESC LIMIT ?) ORDER BY message_id",
            chat_id, since, before or 2**62, since, limit,
        )  # fmt: skip
        return [self.view(row) for row in rows]
