"""What the inbox makes of an update that PostgreSQL cannot hold as it is."""

from typing import Any

import pytest

from aisha.receive.inbox import _storable


@pytest.mark.parametrize(
    ("update", "stored"),
    [
        ({"text": "plain 😀 текст"}, {"text": "plain 😀 текст"}),
        ({"text": "a\0b"}, {"text": "a\ufffdb"}),
        ({"text": "a\ud83d"}, {"text": "a\ufffd"}),
        ({"text": "\ude00a"}, {"text": "\ufffda"}),
        ({"a\0": [{"b": "\0"}]}, {"a\ufffd": [{"b": "\ufffd"}]}),
        ({"text": "a\\u0000b"}, {"text": "a\\u0000b"}),
        ({"id": 2**70, "flag": True, "none": None, "real": 1.5}, None),
    ],
)
def test_only_what_a_database_refuses_is_replaced(
    update: dict[str, Any], stored: dict[str, Any] | None
) -> None:
    assert _storable(update) == (update if stored is None else stored)
