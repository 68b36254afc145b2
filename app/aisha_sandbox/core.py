"""The parts of one running sandbox, put together once."""

import asyncio
from pathlib import Path

from aiohttp import web

from aisha_sandbox.calls import Calls
from aisha_sandbox.chats import Chats
from aisha_sandbox.faults import Faults, Rates
from aisha_sandbox.files import LOCAL_LIMIT, Files
from aisha_sandbox.hub import Hub
from aisha_sandbox.messages import Messages
from aisha_sandbox.people import People
from aisha_sandbox.state import State
from aisha_sandbox.updates import Updates
from aisha_sandbox.webhook import Webhook


class Core:
    """Everything behind the Bot API, the control API and the web chat of one bot."""

    def __init__(self, data_dir: Path, token: str, file_limit: int) -> None:
        self.token = token
        self.state = State(data_dir)
        self.hub = Hub()
        self.files = Files(self.state, data_dir)
        self.chats = Chats(self.state, self.hub, int(token.partition(":")[0]))
        self.messages = Messages(self.state, self.hub, self.chats)
        self.updates = Updates(self.state, self.hub)
        self.calls = Calls(self.state, self.hub)
        self.faults = Faults(self.state)
        self.rates = Rates()
        self.people = People(self.state, self.hub, self.chats, self.messages, self.updates)
        self.webhook = Webhook(self.state, self.hub, self.updates)
        self.file_limit = file_limit
        self.stopping = asyncio.Event()

    @property
    def local(self) -> bool:
        """Tell whether getFile behaves as a Bot API server with `--local`."""
        return self.file_limit == 0

    @property
    def download_limit(self) -> int:
        """Return the largest file that getFile serves, in bytes."""
        return self.file_limit or LOCAL_LIMIT


CORE = web.AppKey("core", Core)
"""Where the web application keeps it for its handlers."""
