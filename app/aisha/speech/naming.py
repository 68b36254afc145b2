"""Names the results in a folder so that none takes another's place, or a recording's."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path, PurePath

from aisha.speech.sources import STDIN

LONGEST = 255
"""Bytes of a file's name on nearly every file system."""


def result_names(files: Sequence[str], ending: str, folder: Path) -> list[str]:
    """Return a name for each file's result: its own with the ending in place of its old one, where that is clear.

    Where two would be the same, also to a file system that ignores case, it is the whole name with the ending.
    Where whole names are the same, the later ones are numbered from 2. Names that become too long are cut.
    """
    wholes = ["stdin" if file == STDIN else PurePath(file).name or "result" for file in files]
    stems = [PurePath(whole).stem for whole in wholes]
    claims = Counter(
        key for stem, whole in zip(stems, wholes, strict=True) for key in {_key(stem), _key(whole)}
    )
    taken = {_key(PurePath(file).name) for file in files if file != STDIN and _is_in(file, folder)}
    names = []
    for stem, whole in zip(stems, wholes, strict=True):
        name = next(
            name
            for name in _candidates(stem, whole, ending, alone=claims[_key(stem)] == 1)
            if _key(name) not in taken
        )
        taken.add(_key(name))
        names.append(name)
    return names


def _candidates(stem: str, whole: str, ending: str, *, alone: bool) -> Iterator[str]:
    if alone:
        yield _fitting(stem, f".{ending}")
    yield _fitting(whole, f".{ending}")
    for number in count(2):
        yield _fitting(whole, f".{number}.{ending}")


def _fitting(name: str, ending: str) -> str:
    """Return the name with its ending, cut so that both are not too long."""
    while len(os.fsencode(name + ending)) > LONGEST:
        name = name[:-1]
    return name + ending


def _key(name: str) -> str:
    """Return what is the same for names that some file system takes for the same."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_in(file: str, folder: Path) -> bool:
    try:
        return folder.samefile(PurePath(file).parent)
    except OSError:
        return False
