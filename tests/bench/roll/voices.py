"""Voice messages in flight while releases are rolled over the rehearsal."""

import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.harness import Said, Telegram, is_final
from tests.e2e.media import voice
from tests.speech import Clip, voices, word_error_rate

PEOPLE = 20
SHORTEST_SECONDS, LONGEST_SECONDS = 1.5, 20.0
"""Of a voice."""

ANSWERED_SECONDS = 600
SETTLED_SECONDS = 3
"""How long to wait for messages that should not come."""

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Answered:
    """The outcomes of the voices."""

    sent: int
    unanswered: int
    doubled: int
    """With another message of the bot beside the answer."""

    word_errors: float
    """Over the words said, of those voices whose words are known."""


class Voices:
    """So many different voices, sent one after another as long as the context lasts, over the sandbox's control API.

    1. They are encoded before the first is sent.
    2. `answered` waits until the last is answered, and says what became of each.
    """

    def __init__(self, url: str, count: int, rate: float) -> None:
        self._telegram, self._count, self._rate = Telegram(url), count, rate
        self._sent: dict[tuple[int, int], Clip] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        clips = voices(SHORTEST_SECONDS, LONGEST_SECONDS)
        if len(clips) < self._count:
            raise ValueError(f"there are {len(clips)} different voices, not {self._count}")
        self._folder = tempfile.TemporaryDirectory(prefix="aisha-")
        self._clips = [
            Clip(voice(clip.path, Path(self._folder.name)), clip.text) for clip in clips[: self._count]
        ]
        self._chats = [self._telegram.person(f"Voice {number}") for number in range(PEOPLE)]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._folder.cleanup()

    def answered(self) -> Answered:
        """Wait for the last answer, and a little longer for unexpected messages."""
        self._thread.join()
        until = time.monotonic() + ANSWERED_SECONDS
        while self._unanswered(self._said()) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        time.sleep(SETTLED_SECONDS)
        said = self._said()
        replies = Counter((chat, one.reply_to) for chat, each in said.items() for one in each)
        heard = {(chat, one.reply_to or 0): one.text for chat, each in said.items() for one in each}
        known = {key: clip.text for key, clip in self._sent.items() if clip.text}
        return Answered(
            sent=len(self._sent),
            unanswered=self._unanswered(said),
            doubled=sum(count > 1 or key not in self._sent for key, count in replies.items()),
            word_errors=word_error_rate([*known.values()], [heard.get(key, "") for key in known]),
        )

    def _send(self) -> None:
        for number, clip in enumerate(self._clips):
            if self._ended.wait(1 / self._rate):
                return
            chat = self._chats[number % PEOPLE]
            self._sent[chat, self._telegram.send_file(chat, clip.path)] = clip

    def _said(self) -> dict[int, list[Said]]:
        return {chat: self._telegram.said(chat) for chat in self._chats}

    def _unanswered(self, said: dict[int, list[Said]]) -> int:
        answered = {(chat, one.reply_to) for chat, each in said.items() for one in each if is_final(one.text)}
        return len(self._sent.keys() - answered)
