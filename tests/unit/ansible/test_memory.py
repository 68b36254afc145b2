"""What services get of their server's memory."""

import runpy
from pathlib import Path

import pytest

FILTER = Path(__file__).parents[3] / "ansible" / "plugins" / "filter" / "memory.py"
memory_share = runpy.run_path(str(FILTER))["memory_share"]


@pytest.mark.parametrize(
    ("groups", "share"),
    [
        (["database"], 4096),
        (["database", "proxy", "bots"], 4096),
        (["cache", "database", "objects", "registry", "workers"], 819),
        (["proxy"], 4096),
    ],
)
def test_services_that_are_hungry_share_alike(groups: list[str], share: int) -> None:
    assert memory_share(4096, groups) == share


def test_a_part_of_a_share_has_a_minimum() -> None:
    assert memory_share(4096, ["cache", "database"], part=0.25, minimum=64) == 512
    assert memory_share(256, ["cache", "database"], part=0.25, minimum=64) == 64
