"""Runs this process on a faster memory allocator than glibc's, when the machine has one.

Decoding allocates and frees small tokens all the time: measured, mimalloc takes 11 to 22 % off its CPU time and
jemalloc 8 to 14 %, with the same text. An allocator can only be loaded before the program, so the process
restarts itself once.
"""

import os
import signal
import sys
from functools import cache
from pathlib import Path

MARKER = "AISHA_PRELOADED"
"""Set for the moment between the two starts; holds the LD_PRELOAD that was there before."""

STOPPING = {signal.SIGTERM, signal.SIGINT}

FOLDERS = tuple(
    Path(folder)
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/lib64")
)
LIBRARIES = ("libmimalloc.so*", "libjemalloc.so*")
"""In the order of what they save; Debian's packages are libmimalloc2.0 (13: libmimalloc3) and
libjemalloc2.
"""


def find_fast_allocator() -> Path | None:
    """Return the best allocator's library on this machine."""
    found = (path for pattern in LIBRARIES for folder in FOLDERS for path in sorted(folder.glob(pattern)))
    return next(found, None)


@cache  # a second call in one process has nothing to do
def prefer_fast_allocator() -> None:
    """Restart this process with a faster allocator; does nothing when there is none or it runs already.

    Call it first in a process, before threads, open sockets or children: nothing but arguments and
    environment survives. Programs that this process starts later do not inherit the allocator.
    """
    if (before := os.environ.pop(MARKER, None)) is not None:
        _restore(before)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        return
    library = find_fast_allocator()
    preloaded = os.environ.get("LD_PRELOAD", "")
    if library is None or _runs_already():
        return
    os.environ[MARKER] = preloaded
    os.environ["LD_PRELOAD"] = f"{library}:{preloaded}" if preloaded else str(library)
    for stream in (sys.stdout, sys.stderr):
        if stream:  # None when this process was started without it
            stream.flush()
    # A container's first process has no handler until Python has restarted, and the kernel would drop the signal.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 this very command


def _runs_already() -> bool:
    loaded = Path("/proc/self/maps").read_text()
    return any(library.split(".")[0] in loaded for library in LIBRARIES)


def _restore(preload: str) -> None:
    if preload:
        os.environ["LD_PRELOAD"] = preload
    else:
        os.environ.pop("LD_PRELOAD", None)
