"""Answers to pressed buttons: https://core.telegram.org/bots/api#answercallbackquery."""

import time

from aisha_sandbox.answers import bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.entities import utf16_length
from aisha_sandbox.methods.registry import method
from aisha_sandbox.params import Params
from aisha_sandbox.people import CALLBACK_SECONDS, CALLBACK_TOPIC
from aisha_sandbox.state import dumps

EXPIRED = "query is too old and response timeout expired or query ID is invalid"


@method
async def answer_callback_query(core: Core, params: Params) -> bool:
    """Show the person a toast or an alert, or only stop the button's spinner."""
    query_id = params.text("callback_query_id")
    row = core.state.row("SELECT * FROM callbacks WHERE id = ?", query_id)
    if row is None or row["at"] < time.time() - CALLBACK_SECONDS:
        raise bad_request(EXPIRED)
    text = params.text("text", "") or ""
    if utf16_length(text) > 200:
        raise bad_request("MESSAGE_TOO_LONG")
    answer = {"text": text, "show_alert": params.flag("show_alert"), "url": params.text("url")}
    core.state.run("UPDATE callbacks SET answer = ? WHERE id = ?", dumps(answer), query_id)
    core.hub.wake(CALLBACK_TOPIC)
    core.hub.publish("callback", id=query_id, answer=answer)
    return True
