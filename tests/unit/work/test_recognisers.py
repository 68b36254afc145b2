"""When a language that was cold at the start becomes warm."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from aisha.settings import Settings
from aisha.work import recognisers
from aisha.work.recognisers import LOOK_SECONDS, Recognisers

SECONDS = 12.0


class Recogniser:
    """Counts what it is warmed with."""

    def __init__(self) -> None:
        self.warmed = 0

    def warm(self, _: Any) -> float:
        self.warmed += 1
        return SECONDS


class Bot:
    """The recordings of a language that are kept, what reads them, and a clock."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.now = 1000.0

    def all(self, _: Any) -> list[str]:
        return list(self.keys)


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Bot:
    bot = Bot()

    @contextmanager
    def opened(*_: Any, **__: Any) -> Iterator[Any]:
        yield bot

    for name in ("spool", "blocks"):
        monkeypatch.setattr(bot, name, opened, raising=False)
    for name in ("connect", "Objects"):
        monkeypatch.setattr(recognisers, name, opened)
    monkeypatch.setattr(recognisers.time, "monotonic", lambda: bot.now)
    return bot


@pytest.fixture
def french(bot: Bot) -> Recognisers:
    """A worker with a French recogniser that nobody has spoken to."""
    found = Recognisers(Settings(database_url="postgresql://any/where"), bot)  # type: ignore[arg-type]
    found.by_language = {"fr": Recogniser()}  # type: ignore[dict-item]
    return found


def test_a_language_is_warm_seconds_after_it_is_first_spoken(bot: Bot, french: Recognisers) -> None:
    assert not french.warm_with_recent()
    bot.keys, bot.now = ["one"], bot.now + LOOK_SECONDS
    assert french.warm_with_recent()


def test_it_is_warm_at_once_after_a_restart(bot: Bot, french: Recognisers) -> None:
    bot.keys = ["one"]
    assert french.warm_with_recent()


def test_the_same_recordings_are_decoded_once(bot: Bot, french: Recognisers) -> None:
    bot.keys = ["one"]
    for _ in range(5):
        french.warm_with_recent()
        bot.now += LOOK_SECONDS
    assert french.by_language["fr"].warmed == 1  # type: ignore[attr-defined]


def test_more_speech_makes_it_warmer_until_it_is_warm_enough(bot: Bot, french: Recognisers) -> None:
    warmer = []
    for keys in (["1"], ["2", "1"], ["3", "2", "1"], ["4", "3", "2", "1"]):
        bot.keys, bot.now = keys, bot.now + LOOK_SECONDS
        warmer.append(french.warm_with_recent())
    assert warmer == [True, True, True, False]
