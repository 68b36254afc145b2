"""A served sandbox, a real aiogram bot, and a client of the control API."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiogram import Bot
from tests.integration.sandbox.client import Control, bot_of

from aisha_sandbox.server import Sandbox

SPEECH = Path("/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0870.wav")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox.open(tmp_path) as served:
        yield served


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    bot = bot_of(sandbox.url, sandbox.token)
    yield bot
    await bot.session.close()


@pytest.fixture
async def control(sandbox: Sandbox) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as http:
        yield Control(sandbox.url, http)


@pytest.fixture
async def ann(control: Control) -> int:
    return await control.user()


@pytest.fixture
def speech() -> str:
    if not SPEECH.exists():
        pytest.skip("Debian's pocketsphinx-testdata is not installed")
    return str(SPEECH)
