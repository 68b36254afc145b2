"""Mutated media files, each made from its number alone, so that a number is enough to see a failure again."""

import random
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.integration.speech.recordings import encode, tone

SEEDS = [
    line.split()
    for line in (Path(__file__).parent / "seeds.txt").read_text().splitlines()
    if not line.startswith("#")
]
SECONDS = 2
HEADER = 2048
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
MOST_CHANGES = 8


def mutated(number: int) -> tuple[str, bytes]:
    """Return the name of a seed and a mutation of it."""
    name, *kind = SEEDS[number % len(SEEDS)]
    chance = random.Random(number)
    data = bytearray(seed(*kind))
    for _ in range(chance.randint(1, MOST_CHANGES)):
        chance.choice(CHANGES)(data, chance)
    return name, bytes(data)


@cache
def seed(container: str, codec: str, rate: str, layout: str) -> bytes:
    """Return a good recording."""
    return encode(tone(SECONDS), container, codec, int(rate), layout)


def _place(data: bytearray, chance: random.Random) -> int:
    """Return a place, as often as not among the headers at the beginning or the index at the end."""
    where = chance.choice(("any", "any", "begin", "end"))
    size = len(data)
    if where == "begin":
        return chance.randrange(min(size, HEADER) or 1)
    return (
        chance.randrange(max(0, size - HEADER), size)
        if where == "end" and size
        else chance.randrange(size or 1)
    )


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _number(data: bytearray, chance: random.Random) -> None:
    """Write a number at the edge of a type, in either order of bytes."""
    value, place = chance.choice(NUMBERS), _place(data, chance)
    piece = struct.pack(chance.choice((">I", "<I", ">Q", "<Q")), value)
    data[place : place + len(piece)] = piece


def _noise(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place : place + 64] = chance.randbytes(chance.randint(1, 64))


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.randint(1, 512)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = data[place : place + chance.randint(1, 4096)] * chance.randint(1, 16)


def _foreign(data: bytearray, chance: random.Random) -> None:
    """Put a piece of another seed in."""
    _, *kind = chance.choice(SEEDS)
    other, place = seed(*kind), _place(data, chance)
    begin = chance.randrange(len(other))
    data[place:place] = other[begin : begin + 4096]


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_flip, _flip, _number, _number, _noise),
    *(_cut, _remove, _repeat, _foreign),
)
