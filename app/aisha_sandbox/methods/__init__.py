"""The Bot API's methods; importing this package registers every family of them."""

import aisha_sandbox.methods.bot
import aisha_sandbox.methods.chats
import aisha_sandbox.methods.editing
import aisha_sandbox.methods.queries
import aisha_sandbox.methods.receiving
import aisha_sandbox.methods.sending  # noqa: F401
from aisha_sandbox.methods.registry import METHODS

__all__ = ["METHODS"]
