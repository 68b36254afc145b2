"""What the bot is: getMe, its commands and its descriptions."""

from typing import Any

from aisha_sandbox.answers import bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.methods.registry import method
from aisha_sandbox.params import Params
from aisha_sandbox.state import Json, dumps


@method
async def get_me(core: Core, params: Params) -> Json:
    """Return the bot as a User: https://core.telegram.org/bots/api#getme."""
    return core.chats.bot() | {
        "can_join_groups": True,
        "can_read_all_group_messages": not core.people.privacy(),
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
        "can_manage_bots": False,
    }


@method
async def log_out(core: Core, params: Params) -> bool:
    """Do nothing: there is no other server to move to."""
    return True


@method
async def close(core: Core, params: Params) -> bool:
    """Do nothing: there is no other server to move to."""
    return True


def commands(core: Core) -> dict[str, list[Json]]:
    """Return all command lists by scope and language."""
    found: dict[str, list[Json]] = core.state.get("commands", {})
    return found


def _scope(params: Params) -> str:
    scope = params.json("scope") or {"type": "default"}
    return dumps(
        [scope.get("type"), scope.get("chat_id"), scope.get("user_id"), params.text("language_code", "")]
    )


@method
async def set_my_commands(core: Core, params: Params) -> bool:
    """Set the commands of a scope and language."""
    listed = params.json("commands") or []
    for command in listed:
        name = command.get("command", "").removeprefix("/")
        if not name or len(name) > 32 or not name.replace("_", "a").isalnum() or name != name.lower():
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command.get("description", "")) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        command["command"] = name
    core.state.put("commands", commands(core) | {_scope(params): listed})
    core.hub.publish("commands")
    return True


@method
async def get_my_commands(core: Core, params: Params) -> list[Json]:
    """Return the commands of exactly this scope and language."""
    return commands(core).get(_scope(params), [])


@method
async def delete_my_commands(core: Core, params: Params) -> bool:
    """Remove the commands of a scope and language."""
    left = {scope: listed for scope, listed in commands(core).items() if scope != _scope(params)}
    core.state.put("commands", left)
    core.hub.publish("commands")
    return True


def suggested(core: Core, chat_id: int, language: str) -> list[Json]:
    """Return the commands that a client shows: the narrowest scope, the person's language first."""
    group = ["all_group_chats", None] if chat_id < 0 else ["all_private_chats", None]
    known = commands(core)
    for kind, chat in (["chat", chat_id], ["chat", str(chat_id)], group, ["default", None]):
        for code in (language, ""):
            if listed := known.get(dumps([kind, chat, None, code])):
                return listed
    return []


def _texts(setter: str, getter: str, field: str) -> None:
    async def put(core: Core, params: Params) -> bool:
        texts = core.state.get(field, {}) | {params.text("language_code", ""): params.text(field, "")}
        core.state.put(field, texts)
        core.hub.publish("commands")
        return True

    async def get(core: Core, params: Params) -> Json:
        texts: dict[str, Any] = core.state.get(field, {})
        default = core.chats.bot()["first_name"] if field == "name" else ""
        return {field: texts.get(params.text("language_code") or "") or texts.get("") or default}

    put.__name__, get.__name__ = setter, getter
    method(put)
    method(get)


_texts("set_my_name", "get_my_name", "name")
_texts("set_my_description", "get_my_description", "description")
_texts("set_my_short_description", "get_my_short_description", "short_description")
