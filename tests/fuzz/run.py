"""Reads mutated files as a worker does, and counts what becomes of them."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.files import mutated

from aisha.errors import AudioError
from aisha.speech.media.reader import MediaReader

MIB = 2**20


@dataclass
class Tally:
    """What became of the files: `lost` have no verdict, `crashed` made their child die.

    `raised` made a library raise what nobody expects; their verdict is a sentence all the same.
    """

    files: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    memory: int = 0
    seconds: float = 0.0
    longest: str = ""

    def line(self) -> dict[str, Any]:
        """Return it as one line of JSON."""
        return {
            "files": self.files,
            "verdicts": dict(self.verdicts),
            "lost": self.lost,
            "crashed": self.crashed,
            "raised": self.raised,
            "memory_mib": self.memory // MIB,
            "seconds": round(self.seconds, 2),
            "longest": self.longest,
        }


def fuzz(media: MediaReader, numbers: Iterable[int], until: float = float("inf")) -> Tally:
    """Read the files of these numbers, until a time of the monotonic clock; keep the most that one took."""
    tally = Tally()
    for number in numbers:
        if time.monotonic() > until:
            break
        name, data = mutated(number)
        tally.files += 1
        _read(media, f"{name} {number}", data, tally)
    return tally


def _read(media: MediaReader, name: str, data: bytes, tally: Tally) -> None:
    began = time.monotonic()
    try:
        tally.verdicts[_verdict(media, data, tally)] += 1
    except AudioError as error:
        tally.verdicts[error.outcome] += 1
        if "cannot be decoded" in str(error):
            tally.raised.append(f"{name}: {error}")
        if "crashed" in str(error) or "killed" in str(error):
            tally.crashed.append(f"{name}: {error}")
    except Exception as error:
        tally.lost.append(f"{name}: {error!r}")
    if (took := time.monotonic() - began) > tally.seconds:
        tally.seconds, tally.longest = took, name


def _verdict(media: MediaReader, data: bytes, tally: Tally) -> str:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with media.blocks(file) as reading:
            for _ in reading:
                pass
            tally.memory = max(tally.memory, reading.usage().memory)
            return "damaged" if reading.info.damaged or reading.info.truncated else "decoded"
