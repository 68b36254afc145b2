"""The Bot API's methods; importing this package registers every family of them."""

import aisha.sandbox.methods.bot
import aisha.sandbox.methods.chats
import aisha.sandbox.methods.editing
import aisha.sandbox.methods.queries
import aisha.sandbox.methods.receiving
import aisha.sandbox.methods.sending  # noqa: F401
from aisha.sandbox.methods.registry import METHODS

__all__ = ["METHODS"]
