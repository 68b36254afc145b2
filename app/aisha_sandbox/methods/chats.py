"""Chats as the bot sees them, and its reactions."""

from aisha_sandbox.answers import bad_request
from aisha_sandbox.core import Core
from aisha_sandbox.methods.registry import method
from aisha_sandbox.params import Params
from aisha_sandbox.people import member
from aisha_sandbox.state import Json

EMOJIS = (
    "❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 "
    "❤‍🔥 🌚 🌭 💯 🤣 ⚡ 🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 "
    "😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿 🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ "
    "😡 "
)
REACTIONS = frozenset(EMOJIS.split())


def checked(reactions: object) -> list[Json]:
    """Return a list of ReactionType objects whose emoji Telegram allows, without variation selectors.

    Raises:
        ApiError: another emoji or kind.
    """
    if reactions in (None, ""):
        return []
    if not isinstance(reactions, list):
        raise bad_request("can't parse reaction types: expected an Array")
    found = []
    for reaction in reactions:
        emoji = str(reaction.get("emoji", "")).replace("\ufe0f", "")
        if reaction.get("type") != "emoji" or emoji not in REACTIONS:
            raise bad_request("REACTION_INVALID")
        found.append({"type": "emoji", "emoji": emoji})
    return found


@method
async def set_message_reaction(core: Core, params: Params) -> bool:
    """Put the bot's one reaction on a message, or take it off."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    reactions = checked(params.json("reaction"))
    if len(reactions) > 1:
        raise bad_request("REACTIONS_TOO_MANY")
    row = core.messages.row(chat_id, params.number("message_id"))
    if row is None:
        raise bad_request("message to react not found")
    core.messages.react(row, core.chats.bot_id, reactions)
    return True


@method
async def get_chat(core: Core, params: Params) -> Json:
    """Return the ChatFullInfo object."""
    chat_id = core.chats.resolve(params.values.get("chat_id"))
    gifts = dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
        False,
    )
    return core.chats.chat(chat_id) | {
        "accent_color_id": abs(chat_id) % 7,
        "max_reaction_count": 11,
        "accepted_gift_types": gifts,
    }


@method
async def get_chat_member(core: Core, params: Params) -> Json:
    """Return the ChatMember object of a user."""
    chat_id = core.chats.resolve(params.values.get("chat_id"))
    user = core.chats.user(params.number("user_id"))
    return member(core.chats.status_of(chat_id, user["id"]), user)


@method
async def get_chat_administrators(core: Core, params: Params) -> list[Json]:
    """Return the ChatMember objects of a group's creator and administrators, other bots left out."""
    chat_id = core.chats.resolve(params.values.get("chat_id"))
    if core.chats.is_private(chat_id):
        raise bad_request("there are no administrators in the private chat")
    people = [core.chats.bot_id, *core.chats.members(chat_id)]
    found = [(core.chats.status_of(chat_id, each), core.chats.user(each)) for each in people]
    return [member(status, user) for status, user in found if status in {"creator", "administrator"}]


@method
async def get_chat_member_count(core: Core, params: Params) -> int:
    """Return how many are in the chat, the bot included."""
    return len(core.chats.members(core.chats.resolve(params.values.get("chat_id")))) + 1


@method
async def leave_chat(core: Core, params: Params) -> bool:
    """Leave a group."""
    chat_id = core.chats.writable(params.values.get("chat_id"))
    core.chats.set_bot_status(chat_id, "left")
    return True
