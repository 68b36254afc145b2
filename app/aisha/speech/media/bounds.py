"""How much the decoding of one file may take."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aisha.settings import MIB, Settings

MOST = 256 * MIB
SHARE = 8
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a child may take: bytes of `memory` and processor `seconds`, which follow the file's size when None.

    No more than `longest` seconds of audio are wanted of a file. A child from which nothing comes for `patience`
    seconds of waiting is given up.
    """

    memory: int
    seconds: int | None = None
    longest: float = 4 * 3600
    patience: float = 300

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the bounds that are set, or those that suit this host."""
        memory = settings.media_memory_mib * MIB if settings.media_memory_mib else default_memory()
        return cls(memory, settings.media_seconds, settings.max_duration)


def default_memory() -> int:
    """Return 256 MiB, or an eighth of what the host or the container has when that is less."""
    return min(MOST, _memory() // SHARE)


def _memory() -> int:
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [path.read_text().strip() for path in CGROUP_LIMITS if path.exists()]
    return min([host, *(int(limit) for limit in limits if limit.isdigit())])
