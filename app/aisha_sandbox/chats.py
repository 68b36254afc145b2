"""Users, chats, and who may write where."""

import json
from typing import Any

from aisha_sandbox.answers import bad_request, forbidden
from aisha_sandbox.hub import Hub
from aisha_sandbox.state import Json, State, dumps

GROUPS = {"group", "supergroup"}
PRESENT = {"member", "administrator", "creator", "restricted"}
BOT_STATUSES = {"member", "administrator", "restricted", "left", "kicked"}


class Chats:
    """The people and chats of the sandbox, and the bot's standing in each."""

    def __init__(self, state: State, hub: Hub, bot_id: int) -> None:
        self._state = state
        self._hub = hub
        self.bot_id = bot_id
        if state.row("SELECT 1 FROM users WHERE id = ?", bot_id) is None:
            self._set_up()

    def _set_up(self) -> None:
        """Begin with the bot, and one private chat that nobody has started."""
        with self._state.transaction():
            bot = {"id": self.bot_id, "is_bot": True, "first_name": "Aisha", "username": "aisha_sandbox_bot"}
            self._state.run("INSERT INTO users VALUES (?, ?)", self.bot_id, dumps(bot))
            self.create_user({"first_name": "You", "username": "you"}, started=False)

    def create_user(self, profile: Json, *, started: bool) -> Json:
        """Record a user with their private chat; an id is chosen when none is given."""
        user_id = int(profile.get("id") or self._state.next("user_id", 1001))
        user = {"id": user_id, "is_bot": False, "first_name": profile.get("first_name") or "User"}
        user |= {k: profile[k] for k in ("last_name", "username", "language_code") if profile.get(k)}
        with self._state.transaction():
            self._state.run("INSERT OR REPLACE INTO users VALUES (?, ?)", user_id, dumps(user))
            self._state.run(
                "INSERT OR IGNORE INTO chats (id, profile, bot_status, started) VALUES (?, ?, 'member', ?)",
                user_id, dumps({"id": user_id, "type": "private"}), int(started),
            )  # fmt: skip
        self._hub.publish("chats")
        return user

    def update_user(self, user_id: int, changes: Json) -> Json:
        """Change a user's names or language; null removes."""
        user = {k: v for k, v in (self.user(user_id) | changes).items() if v not in (None, "")}
        self._state.run("UPDATE users SET profile = ? WHERE id = ?", dumps(user | {"id": user_id}), user_id)
        self._hub.publish("chats")
        return user

    def create_group(self, kind: str, title: str, members: list[int], chat_id: int | None = None) -> Json:
        """Record a group with these users and the bot in it."""
        if not chat_id:
            number = self._state.next("group_id", 2001)
            chat_id = -number if kind == "group" else -1000000000000 - number
        with self._state.transaction():
            self._state.run(
                "INSERT INTO chats (id, profile, bot_status, started) VALUES (?, ?, 'member', 1)",
                chat_id, dumps({"id": chat_id, "type": kind, "title": title}),
            )  # fmt: skip
            for user_id in members:
                self.join(chat_id, user_id)
        self._hub.publish("chats")
        return self.chat(chat_id)

    def join(self, chat_id: int, user_id: int) -> None:
        """Make a user a member of a group; the first one is its creator."""
        first = self._state.row("SELECT 1 FROM members WHERE chat_id = ?", chat_id) is None
        status = "creator" if first else "member"
        self.user(user_id)
        self._state.run("INSERT OR REPLACE INTO members VALUES (?, ?, ?)", chat_id, user_id, status)
        self._hub.publish("chats")

    def users(self) -> list[Json]:
        """Return every person, not the bot."""
        rows = self._state.rows("SELECT profile FROM users WHERE id != ? ORDER BY rowid", self.bot_id)
        return [json.loads(row["profile"]) for row in rows]

    def user(self, user_id: int) -> Json:
        """Return a user.

        Raises:
            ApiError: there is none.
        """
        row = self._state.row("SELECT profile FROM users WHERE id = ?", user_id)
        if not row:
            raise bad_request("user not found")
        profile: Json = json.loads(row["profile"])
        return profile

    def bot(self) -> Json:
        """Return the bot as a User."""
        return self.user(self.bot_id)

    def exists(self, chat_id: int) -> bool:
        """Tell whether there is such a chat."""
        return self._state.row("SELECT 1 FROM chats WHERE id = ?", chat_id) is not None

    def ids(self) -> list[int]:
        """Return the ids of all chats."""
        return [row["id"] for row in self._state.rows("SELECT id FROM chats ORDER BY rowid")]

    def chat(self, chat_id: int) -> Json:
        """Return a chat as the Chat object of messages.

        Raises:
            ApiError: there is none.
        """
        profile = json.loads(self._row(chat_id)["profile"])
        if profile["type"] == "private":
            user = self.user(chat_id)
            profile |= {k: user[k] for k in ("first_name", "last_name", "username") if k in user}
        return dict(profile)

    def _row(self, chat_id: int) -> Any:
        row = self._state.row("SELECT * FROM chats WHERE id = ?", chat_id)
        if not row:
            raise bad_request("chat not found")
        return row

    def is_private(self, chat_id: int) -> bool:
        """Tell whether the chat is one with a single person."""
        return bool(self.chat(chat_id)["type"] == "private")

    def started(self, chat_id: int) -> bool:
        """Tell whether the person ever wrote to the bot."""
        return bool(self._row(chat_id)["started"])

    def start(self, chat_id: int) -> None:
        """Remember that the person has written to the bot."""
        self._state.run("UPDATE chats SET started = 1 WHERE id = ? AND started = 0", chat_id)

    def bot_status(self, chat_id: int) -> str:
        """Return the bot's ChatMember status; `kicked` in a private chat means blocked."""
        return str(self._row(chat_id)["bot_status"])

    def set_bot_status(self, chat_id: int, status: str) -> str:
        """Change the bot's status and return the one before."""
        before = self.bot_status(chat_id)
        self._state.run("UPDATE chats SET bot_status = ? WHERE id = ?", status, chat_id)
        self._hub.publish("chats")
        return before

    def resolve(self, chat_id: Any) -> int:
        """Return the id of a chat named by id or by @username of a group.

        Raises:
            ApiError: there is none.
        """
        text = str(chat_id if chat_id is not None else "").strip()
        if not text:
            raise bad_request("chat_id is empty")
        if text.startswith("@"):
            for known in self.ids():
                if known < 0 and self.chat(known).get("username", "").lower() == text[1:].lower():
                    return known
            raise bad_request("chat not found")
        try:
            number = int(text)
        except ValueError:
            raise bad_request("chat not found") from None
        self._row(number)
        return number

    def writable(self, chat_id: Any) -> int:
        """Return the id of a chat that the bot may write to.

        Raises:
            ApiError: unknown, blocked, kicked or never started.
        """
        number = self.resolve(chat_id)
        status, kind = self.bot_status(number), self.chat(number)["type"]
        if kind == "private" and status == "kicked":
            raise forbidden("bot was blocked by the user")
        if status == "kicked":
            raise forbidden(f"bot was kicked from the {kind} chat")
        if status == "left":
            raise forbidden(f"bot is not a member of the {kind} chat")
        if not self.started(number):
            if self._state.row("SELECT 1 FROM members WHERE user_id = ?", number):
                raise forbidden("bot can't initiate conversation with a user")
            raise bad_request("chat not found")
        return number

    def status_of(self, chat_id: int, user_id: int) -> str:
        """Return a user's ChatMember status in a chat."""
        if user_id == self.bot_id:
            return self.bot_status(chat_id)
        if self.is_private(chat_id):
            return "member" if user_id == chat_id else "left"
        row = self._state.row(
            "SELECT status FROM members WHERE chat_id = ? AND user_id = ?", chat_id, user_id
        )
        return str(row["status"]) if row else "left"

    def members(self, chat_id: int) -> list[int]:
        """Return the people of a chat."""
        if self.is_private(chat_id):
            return [chat_id]
        rows = self._state.rows("SELECT user_id FROM members WHERE chat_id = ? ORDER BY rowid", chat_id)
        return [row["user_id"] for row in rows]
