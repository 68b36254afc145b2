"""Keyboards, checked as Telegram does: https://core.telegram.org/bots/api#inlinekeyboardmarkup."""

import json
from typing import Any

from aisha_sandbox.answers import bad_request
from aisha_sandbox.entities import utf16_length
from aisha_sandbox.state import Json

ACTIONS = {
    "callback_data", "url", "copy_text", "switch_inline_query", "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat", "web_app", "login_url", "callback_game", "pay",
}  # fmt: skip
LAYOUT = {"style", "icon_custom_emoji_id"}


def parsed(value: Any) -> Json | None:
    """Return a reply_markup given as JSON text or object.

    Raises:
        ApiError: it is malformed.
    """
    if value in (None, "", {}):
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad_request("can't parse reply keyboard markup JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" in value:
        return {"inline_keyboard": [[_button(b) for b in row] for row in value["inline_keyboard"] if row]}
    if "keyboard" in value:
        rows = [[{"text": b} if isinstance(b, str) else b for b in row] for row in value["keyboard"]]
        return value | {"keyboard": rows}
    return value


def _button(button: Any) -> Json:
    if not isinstance(button, dict) or not button.get("text"):
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
        )
    actions = ACTIONS & button.keys()
    if len(actions) != 1:
        raise bad_request(
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
            if not actions
            else "can't parse inline keyboard button: exactly one action is expected"
        )
    if "callback_data" in button and not 1 <= len(str(button["callback_data"]).encode()) <= 64:
        raise bad_request("BUTTON_DATA_INVALID")
    if "url" in button and not _is_url(str(button["url"])):
        raise bad_request("inline keyboard button URL is invalid: Wrong HTTP URL")
    if "copy_text" in button and not 1 <= utf16_length(str(button["copy_text"].get("text", ""))) <= 256:
        raise bad_request("BUTTON_COPY_TEXT_INVALID")
    return {k: v for k, v in button.items() if k in ACTIONS | LAYOUT | {"text"}}


def _is_url(url: str) -> bool:
    return url.startswith(("http://", "https://", "tg://")) or (
        "." in url and ":" not in url and " " not in url
    )


def inline(markup: Json | None) -> Json:
    """Return the part of a message's content that a markup makes: inline keyboards only."""
    return {"reply_markup": markup} if markup and markup.get("inline_keyboard") else {}


def keyboard(markup: Json | None) -> Json | None:
    """Return the markup that concerns the person's own keyboard, if it does."""
    return markup if markup and "inline_keyboard" not in markup else None
