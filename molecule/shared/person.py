"""A person who talks to a scenario's bot, through the sandbox in Telegram's place."""

import time

from tests.e2e.harness import Telegram


class Person:
    """Somebody new, with a private chat."""

    def __init__(self, telegram: Telegram, name: str = "Ann") -> None:
        self._telegram = telegram
        self.chat = telegram.person(name)

    def says(self, text: str) -> None:
        """Send the bot a text."""
        self._telegram.send_text(self.chat, text)

    @property
    def heard(self) -> int:
        """How many messages the bot has sent."""
        found = self._telegram.call("GET", f"/chats/{self.chat}/messages", params={"limit": 1000})["messages"]
        return sum(message["from_bot"] for message in found)

    def is_answered(self, text: str, seconds: float = 30) -> bool:
        """Send the bot a text and tell whether its next message comes in time."""
        before = self.heard
        self.says(text)
        until = time.monotonic() + seconds
        while self.heard == before and time.monotonic() < until:
            time.sleep(0.2)
        return self.heard > before
