"""What one file may take follows what it is and what the host has."""

import pytest

from aisha.settings import MIB, Settings
from aisha.speech.media import bounds
from aisha.speech.media.bounds import Bounds
from aisha.speech.media.server import allowed_seconds

HOUR = 3600


@pytest.mark.parametrize(
    ("size", "longest", "speed", "expected"),
    [
        (10_000, 4 * HOUR, 400, 20),
        (20 * MIB, 4 * HOUR, 400, 20 + 4 + 144),
        (20 * MIB, HOUR, 400, 20 + 4 + 36),
        (20 * MIB, 4 * HOUR, 100, 20 + 4 + 576),
        (2000 * MIB, 4 * HOUR, 400, 20 + 419 + 144),
    ],
)
def test_a_larger_file_may_take_more_time_and_a_slow_host_too(
    size: int, longest: float, speed: float, expected: int
) -> None:
    assert allowed_seconds(size, longest, speed) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(("memory", "expected"), [(64 * 1024, 256), (1024, 128)])
def test_memory_is_a_share_of_a_small_host(
    memory: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_memory", lambda: memory * MIB)
    assert Bounds.of(Settings()).memory == expected * MIB


def test_what_is_set_holds() -> None:
    loaded = Settings(media_memory_mib=32, media_seconds=7, max_duration=60)
    assert Bounds.of(loaded) == Bounds(32 * MIB, 7, 60)
