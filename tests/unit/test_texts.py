"""Every sentence in both languages."""

import re
import string
from typing import get_args

import pytest

from aisha import texts
from aisha.errors import AudioError
from aisha.outcomes import Outcome

LANGUAGES = set(get_args(texts.Interface))
VALUES = {
    "language": "English",
    "size": "20 MB",
    "duration": "4 h",
    "ahead": 3,
    "days": "365 days",
    "percent": 50,
    "track": 2,
    "tracks": 3,
    "name": "Ann",
    "left": "5 s",
}


def placeholders(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", texts.TEXTS)
def test_a_situation_has_a_sentence_in_every_language_with_the_same_values(key: str) -> None:
    sentences = texts.TEXTS[key]
    assert set(sentences) == LANGUAGES
    assert len({frozenset(placeholders(sentence)) for sentence in sentences.values()}) == 1


@pytest.mark.parametrize("key", texts.TEXTS)
@pytest.mark.parametrize("reader", sorted(LANGUAGES))
def test_a_sentence_says_its_values_and_is_one_message(key: str, reader: str) -> None:
    said = texts.say(key, reader, **VALUES)
    assert 0 < len(said) <= 1000
    assert not re.search(r"[{}]", said)
    assert said == said.strip()


@pytest.mark.parametrize("key", texts.TEXTS)
def test_only_the_russian_sentence_is_in_cyrillic(key: str) -> None:
    cyrillic = {language: bool(re.search("[а-яё]", text)) for language, text in texts.TEXTS[key].items()}
    assert cyrillic == {"en": False, "ru": True}


@pytest.mark.parametrize("outcome", sorted({*get_args(Outcome)} - {"speech"}))
def test_every_outcome_but_speech_has_a_sentence(outcome: str) -> None:
    assert outcome in texts.TEXTS


@pytest.mark.parametrize("error", AudioError.__subclasses__())
def test_a_file_that_cannot_be_transcribed_ends_with_an_outcome_of_its_own(error: type[AudioError]) -> None:
    assert error.outcome in {*get_args(Outcome)} - {"failed"}


def test_the_commands_are_the_same_in_every_language() -> None:
    assert set(texts.COMMANDS) == LANGUAGES
    expected = ["language", "transcribe", "help", "privacy", "forget"]
    assert all(list(described) == expected for described in texts.COMMANDS.values())


@pytest.mark.parametrize("command", texts.COMMANDS["en"])
@pytest.mark.parametrize("reader", sorted(LANGUAGES))
def test_the_help_names_every_command(command: str, reader: str) -> None:
    assert f"/{command}" in texts.say("help", reader, **VALUES)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ru", "ru"), ("ru-RU", "ru"), ("RU", "ru"), ("be", "ru"), ("en", "en"), ("en-GB", "en"), ("de", "en"),
     ("run", "en"), ("", "en"), (None, "en")],
)  # fmt: skip
def test_the_interface_follows_the_readers_language(code: str | None, expected: str) -> None:
    assert texts.interface(code) == expected


def test_a_language_that_is_not_known_reads_english() -> None:
    assert texts.say("working", "xx") == texts.TEXTS["working"]["en"]


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [
        (0, "0 s", "0 с"),
        (0.4, "0 s", "0 с"),
        (1, "1 s", "1 с"),
        (59.6, "1 min", "1 мин"),
        (60, "1 min", "1 мин"),
        (725, "12 min 5 s", "12 мин 5 с"),
        (3600, "1 h", "1 ч"),
        (3601, "1 h", "1 ч"),
        (5400, "1 h 30 min", "1 ч 30 мин"),
        (14_400, "4 h", "4 ч"),
        (100_000, "27 h 46 min", "27 ч 46 мин"),
    ],
)
def test_a_duration_is_told_in_words(seconds: float, english: str, russian: str) -> None:
    assert (texts.duration(seconds, "en"), texts.duration(seconds, "ru")) == (english, russian)


def test_a_size_is_told_in_mebibytes() -> None:
    assert (texts.size(20 * texts.MIB, "en"), texts.size(2000 * texts.MIB, "ru")) == ("20 MB", "2000 МБ")


@pytest.mark.parametrize(
    ("count", "english", "russian"),
    [
        (1, "1 day", "1 день"),
        (3, "3 days", "3 дня"),
        (12, "12 days", "12 дней"),
        (365, "365 days", "365 дней"),
    ],
)
def test_days_are_counted_as_people_say_them(count: int, english: str, russian: str) -> None:
    assert (texts.days(count, "en"), texts.days(count, "ru")) == (english, russian)
