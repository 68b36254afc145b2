"""Restarting with another allocator."""

import os
import signal
from pathlib import Path

import pytest

from aisha.speech import allocator


def blocked() -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_signal_to_stop_between_the_two_starts_waits_for_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel drops it otherwise, for a container's first process."""
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.delenv(allocator.MARKER, raising=False)
    monkeypatch.setattr(allocator, "find_fast_allocator", lambda: Path("/lib/fast.so"))
    monkeypatch.setattr(allocator, "_runs_already", lambda: False)
    seen: list[set[int]] = []
    monkeypatch.setattr(os, "execv", lambda *_: seen.append(blocked()))
    prefer = allocator.prefer_fast_allocator.__wrapped__
    prefer()
    assert {signal.SIGTERM, signal.SIGINT} <= seen[0]
    prefer()
    assert not {signal.SIGTERM, signal.SIGINT} & blocked()
    assert allocator.MARKER not in os.environ
