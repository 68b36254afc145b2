"""Cutting a long answer into messages."""

import random

import pytest

from aisha.deliver.split import LIMIT, split, utf16_length

ALPHABET = ["a", "é", "я", "😀", "👨‍👩‍👧", " ", " ", "\n", "\n\n", "\t", ".", "word", "очень", "x" * 30]


@pytest.mark.parametrize("text", ["", " ", "\n\n \t"])
def test_nothing_makes_no_message(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", ["short"]),
        ("  a b  ", ["a b"]),
        ("x" * 10, ["x" * 10]),
        ("hello world again", ["hello", "world", "again"]),
        ("one two\n\nthree four", ["one two", "three four"]),
        ("aaaa bbbb cc", ["aaaa bbbb", "cc"]),
        ("aaaaaaaaaa b", ["aaaaaaaaaa", "b"]),
        ("aaaaaaaaaaaaaaa", ["aaaaaaaaaa", "aaaaa"]),
        ("a aaaaaaaaaaaaaaa", ["a", "aaaaaaaaaa", "aaaaa"]),
        ("😀😀😀😀😀😀", ["😀😀😀😀😀", "😀"]),
        ("a😀😀😀😀😀", ["a😀😀😀😀", "😀"]),
    ],
)
def test_a_text_is_cut_into_parts_of_ten_units_at_words(text: str, expected: list[str]) -> None:
    assert split(text, limit=10) == expected


@pytest.mark.parametrize("more", [0, 1])
def test_a_text_of_the_limit_is_one_message_and_one_more_makes_two(more: int) -> None:
    assert len(split("x" * (LIMIT + more))) == 1 + more


def test_a_paragraph_is_kept_whole_where_it_half_fills_a_message() -> None:
    assert split("a" * 60 + "\n\n" + "b " * 30, limit=100)[0] == "a" * 60


@pytest.mark.parametrize("seed", range(200))
def test_no_part_is_empty_or_too_long_and_nothing_but_white_space_is_lost(seed: int) -> None:
    chosen = random.Random(seed)
    text = "".join(chosen.choices(ALPHABET, k=chosen.randint(0, 300)))
    limit = chosen.randint(8, 120)
    parts = split(text, limit)
    assert all(0 < utf16_length(part) <= limit for part in parts)
    assert all(part == part.strip() for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize("seed", range(50))
def test_words_that_fit_are_never_cut(seed: int) -> None:
    chosen = random.Random(seed)
    words = ["w" * chosen.randint(1, 20) for _ in range(chosen.randint(1, 200))]
    text = "".join(word + chosen.choice([" ", "  ", "\n", "\n\n"]) for word in words)
    assert [word for part in split(text, limit=chosen.randint(20, 80)) for word in part.split()] == words
