"""The updates of the load: texts as Telegram posts them, each with an id of its own."""

import json
import time

ANSWERED_EVERY = 51
"""One text of so many is in a private chat of its own and has one answer; nobody answers the others, in groups. It is
odd, so that connections of all kinds bring some."""

GROUPS = 1000
TEXT = "Some words that somebody has written to somebody else. " * 3


def first_id() -> int:
    """Return an unused first id: the microseconds since 1970; each update takes one."""
    return time.time_ns() // 1000


def is_answered(update_id: int) -> bool:
    """Tell whether the bot answers this update's text, in the private chat whose id is the update's."""
    return update_id % ANSWERED_EVERY == 0


def body(update_id: int) -> bytes:
    """Return an update as it is posted (https://core.telegram.org/bots/api#update)."""
    message = {"message_id": update_id, "date": update_id // 1_000_000, "text": TEXT}
    if is_answered(update_id):
        message["chat"] = {"id": update_id, "type": "private", "first_name": "Load"}
        message["from"] = {"id": update_id, "is_bot": False, "first_name": "Load"}
    else:
        message["chat"] = {"id": -1 - update_id % GROUPS, "type": "supergroup", "title": "Load"}
    return json.dumps({"update_id": update_id, "message": message}).encode()
