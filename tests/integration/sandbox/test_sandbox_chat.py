"""The web chat, driven in a real browser against a real bot."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiogram import Bot
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, Message, ReplyParameters
from playwright.async_api import Browser, Page, Route, async_playwright, expect
from tests.integration.sandbox.client import Control, bot_of

from aisha_sandbox.server import Sandbox

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
YOU = 1001


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("Debian's chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-US", viewport={"width": 1100, "height": 760})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(sandbox.url)
    yield page
    await context.close()
    assert errors == []


async def heard(bot: Bot) -> Message:
    """Return the newest message, waiting for one, and confirm it."""
    updates = await bot.get_updates(timeout=10)
    await bot.get_updates(offset=updates[-1].update_id + 1)
    assert updates[-1].message
    return updates[-1].message


async def test_the_start_button_begins_the_chat_and_an_answer_appears(page: Page, bot: Bot) -> None:
    await page.get_by_test_id("start").click()
    message = await heard(bot)
    assert (message.text, message.chat.id) == ("/start", YOU)
    await bot.send_message(YOU, "<b>Welcome</b>", parse_mode="HTML")
    await expect(page.get_by_test_id("message-text").last.locator("strong")).to_have_text("Welcome")


async def test_a_recording_arrives_as_a_voice_message(page: Page, bot: Bot) -> None:
    await page.get_by_test_id("record").click()
    await page.wait_for_timeout(1200)
    await page.get_by_test_id("send-recording").click()
    voice = (await heard(bot)).voice
    assert voice
    assert voice.mime_type == "audio/ogg"
    assert voice.duration >= 1
    await expect(page.get_by_test_id("message")).to_have_count(1)


async def test_an_edit_replaces_the_text_and_marks_it(page: Page, bot: Bot) -> None:
    await page.get_by_test_id("composer").fill("first line")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("second")
    await page.keyboard.press("Enter")
    asked = await heard(bot)
    assert asked.text == "first line\nsecond"
    reply = ReplyParameters(message_id=asked.message_id)
    status = await bot.send_message(YOU, "working", reply_parameters=reply)
    await bot.edit_message_text("done", chat_id=YOU, message_id=status.message_id)
    last = page.get_by_test_id("message").last
    await expect(last.get_by_test_id("message-text")).to_have_text("done")
    await expect(last.get_by_test_id("edited")).to_be_visible()
    await expect(last.locator(".quote-text")).to_contain_text("first line")


async def test_a_pressed_button_shows_the_bots_toast(page: Page, bot: Bot, control: Control) -> None:
    await control.say(YOU, "hi")
    await heard(bot)
    markup = InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Yes", callback_data="yes")]])
    await bot.send_message(YOU, "Sure?", reply_markup=markup)
    await page.get_by_test_id("inline-button").click()
    (update,) = await bot.get_updates(timeout=10)
    assert update.callback_query
    await bot.answer_callback_query(update.callback_query.id, "Noted")
    await expect(page.get_by_test_id("toast")).to_have_text("Noted")


async def test_what_happens_before_the_page_knows_the_chats_is_shown_afterwards(
    page: Page, bot: Bot, control: Control
) -> None:
    known = asyncio.Event()

    async def late(route: Route) -> None:
        await known.wait()
        await route.continue_()

    await page.route("**/sandbox/api/state", late)
    async with page.expect_request("**/sandbox/api/state"):
        await page.reload()
    await control.say(YOU, "hi")
    await bot.send_message(YOU, "early")
    await bot.send_chat_action(YOU, "typing")
    await page.wait_for_timeout(500)
    known.set()
    await expect(page.get_by_test_id("message-text")).to_have_text(["hi", "early"])
    await expect(page.get_by_test_id("typing")).to_be_visible()


async def test_a_chosen_file_is_sent_by_its_kind_or_as_a_file(page: Page, bot: Bot, tmp_path: Path) -> None:
    (tmp_path / "talk.mp3").write_bytes(b"no real music")
    await page.get_by_test_id("attach-input").set_input_files(tmp_path / "talk.mp3")
    assert (await heard(bot)).audio
    await page.get_by_test_id("attach-file-input").set_input_files(tmp_path / "talk.mp3")
    assert (await heard(bot)).document


async def test_the_page_finds_a_restarted_server_again(browser: Browser, tmp_path: Path) -> None:
    async with Sandbox.open(tmp_path) as first:
        port, token = int(first.url.rsplit(":", 1)[1]), first.token
        page = await browser.new_page(locale="en-US")
        await page.goto(first.url)
        await expect(page.get_by_test_id("start")).to_be_visible()
    await expect(page.locator(".lost")).to_be_visible()
    await asyncio.sleep(0.1)
    async with Sandbox.open(tmp_path, port, token, strict_port=True) as second:
        bot = bot_of(second.url, token)
        async with aiohttp.ClientSession() as http:
            await Control(second.url, http).say(YOU, "still here")
        await bot.send_message(YOU, "so am I")
        await expect(page.get_by_test_id("message-text")).to_have_text(["still here", "so am I"])
        await bot.session.close()
        await page.close()
