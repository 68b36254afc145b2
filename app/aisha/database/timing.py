"""The times of a text's words, in a few bytes each: with the text they are all that was recognised.

A word begins some hundredths of a second after the one before has ended (less than none, where two overlap), lasts some
hundredths, and was sure to some hundredths. Three such columns, each a row of variable-length numbers of seven bits a
byte, are compressed together: numbers of one kind beside each other are alike.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

RAW = -zlib.MAX_WBITS
"""zlib's sign for neither header nor checksum: they would be a tenth of a short voice's times."""


def pack(text: str, words: Sequence[Any]) -> bytes | None:
    """Return the times of words as `[text, start, end, confidence]`; None if they are not the words of the text."""
    if _split(text) != [word[0] for word in words]:
        return None
    starts, ends = [round(word[1] * 100) for word in words], [round(word[2] * 100) for word in words]
    pauses = [start - before for start, before in zip(starts, [0, *ends], strict=False)]
    lengths = [end - start for start, end in zip(starts, ends, strict=True)]
    sure = [round(word[3] * 100) for word in words]
    packer = zlib.compressobj(9, wbits=RAW)
    return packer.compress(bytes(_bytes([*pauses, *lengths, *sure]))) + packer.flush()


def unpack(text: str, times: bytes) -> list[list[Any]]:
    """Return what was packed, to a hundredth."""
    words, numbers = _split(text), [*_numbers(zlib.decompress(times, wbits=RAW))]
    count, end, unpacked = len(words), 0, []
    for index, word in enumerate(words):
        start = end + numbers[index]
        end = start + numbers[count + index]
        unpacked.append([word, start / 100, end / 100, numbers[2 * count + index] / 100])
    return unpacked


def _split(text: str) -> list[str]:
    """Return the words of a text as a transcript joins them: with a space, or two line feeds between paragraphs."""
    return text.replace("\n\n", " ").split(" ") if text else []


def _bytes(numbers: Iterable[int]) -> Iterator[int]:
    """Yield each number in bytes of seven bits, the lowest first, all but its last marked; negative ones are odd."""
    for number in numbers:
        left = -2 * number - 1 if number < 0 else 2 * number
        while left > 0x7F:
            yield left & 0x7F | 0x80
            left >>= 7
        yield left


def _numbers(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            yield -(value + 1 >> 1) if value & 1 else value >> 1
            value = shift = 0
