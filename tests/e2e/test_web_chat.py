"""Somebody who has never seen the project opens the printed address, speaks, and reads what was said."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psycopg
import pytest
from harness import Telegram, Tree
from media import RATE, samples, write
from playwright.async_api import Browser, Page, Response, Route, async_playwright, expect
from tests.speech import Clip, librivox, prompts, word_error_rate

CHROMIUM = Path("/usr/bin/chromium")
ANSWER_MS = 30_000


@pytest.fixture(scope="module")
def spoken() -> Clip:
    """The sentence that the microphone hears, again and again."""
    return next(clip for clip in librivox() if "0880" in clip.path.name)


@pytest.fixture(scope="module")
async def browser(spoken: Clip, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Chromium whose microphone is a file: half a second of silence, the sentence, and silence again."""
    pcm = samples(spoken.path)
    quiet = np.zeros(RATE // 2, dtype=np.int16)
    heard = write(
        tmp_path_factory.mktemp("microphone") / "heard.wav", np.concatenate([quiet, pcm, quiet]), "pcm_s16le"
    )
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={heard}",
            ],
        )
        yield chromium
        await chromium.close()


@pytest.fixture
async def page(browser: Browser, tree: Tree) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-US", viewport={"width": 1000, "height": 720})
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(tree.url)
    yield page
    await context.close()
    assert errors == []


async def test_what_is_spoken_into_the_page_can_be_read_on_it(page: Page, spoken: Clip) -> None:
    await page.get_by_test_id("start").click()
    await expect(page.get_by_test_id("message-text").last).to_contain_text("voice message")
    await page.get_by_test_id("record").click()
    await page.wait_for_timeout(3_900)
    await page.get_by_test_id("send-recording").click()
    answer = page.get_by_test_id("message").last.get_by_test_id("message-text")
    await expect(answer).to_contain_text("young man", timeout=ANSWER_MS)
    assert word_error_rate([spoken.text], [await answer.inner_text()]) < 0.7  # the fake microphone adds noise


async def test_a_dropped_file_is_answered_beside_it(page: Page, tmp_path: Path) -> None:
    clip = next(clip for clip in prompts() if clip.path.stem == "tt-weasels")
    voice = write(tmp_path / "weasels.ogg", samples(clip.path))
    await page.get_by_test_id("attach-input").set_input_files(voice)
    answer = page.get_by_test_id("message").last.get_by_test_id("message-text")
    await expect(answer).to_contain_text("phone system", timeout=ANSWER_MS)
    if folder := os.environ.get("SCREENSHOTS"):
        await page.wait_for_timeout(500)
        await page.screenshot(path=Path(folder) / "web-chat.png")


@pytest.fixture
def two_languages(tree: Tree) -> Iterator[None]:
    """Another worker host that also hears French; it has no lane of its own here, so only its row is needed."""
    with psycopg.connect(tree.setting("AISHA_DATABASE_URL"), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO workers (name, concurrency, languages) VALUES ('elsewhere', 1, '{en,fr}')"
        )
        yield
        connection.execute("DELETE FROM workers WHERE name = 'elsewhere'")
        connection.execute("UPDATE chats SET language = NULL")


@pytest.mark.usefixtures("two_languages")
async def test_a_button_is_pressed_and_its_message_changes(page: Page) -> None:
    await expect(page.get_by_test_id("message-text").last).to_be_visible()
    await page.get_by_test_id("composer").fill("/language")
    await page.get_by_test_id("composer").press("Enter")
    last = page.get_by_test_id("message").last
    await expect(last.get_by_test_id("message-text")).to_contain_text("Now: English", timeout=ANSWER_MS)
    await last.get_by_test_id("inline-button").filter(has_text="français").click()
    await expect(last.get_by_test_id("message-text")).to_have_text("I will listen for French.")
    await expect(last.get_by_test_id("inline-button")).to_have_count(0)


async def test_chats_that_are_made_meanwhile_are_fetched_at_once(page: Page, telegram: Telegram) -> None:
    fetched, made = 0, asyncio.Event()

    async def hold(route: Route) -> None:
        nonlocal fetched
        fetched += 1
        await made.wait()
        await route.continue_()

    you = telegram.call("GET", "/state")["users"][0]["id"]
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.route(re.compile("/state$"), hold)
    for number in range(20):
        telegram.call("POST", "/chats", json={"title": f"Room {number}", "members": [you]})
    made.set()
    await page.get_by_test_id("new").click()
    await page.get_by_test_id("new-group").click()
    await page.locator("[name=title]").fill("Room of mine")
    await page.get_by_test_id("dialog-save").click()
    await expect(page.get_by_role("heading", name="Room of mine")).to_be_visible(timeout=ANSWER_MS)
    assert fetched <= 6


async def test_commands_are_suggested_for_what_is_typed_before_the_chats_are_known(page: Page) -> None:
    typed = asyncio.Event()

    async def hold(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    await page.route(re.compile("/state$"), hold)
    await page.reload()
    await page.get_by_test_id("composer").fill("/")
    typed.set()
    await expect(page.get_by_test_id("command-suggestion").first).to_contain_text("/language")


async def test_what_is_typed_over_a_suggestion_is_what_is_sent(page: Page) -> None:
    composer = page.get_by_test_id("composer")
    await composer.fill("/")
    await expect(page.get_by_test_id("command-suggestion").first).to_contain_text("/language")

    async def hold(route: Route) -> None:
        await asyncio.sleep(1)
        await route.continue_()

    await page.route(re.compile("/commands"), hold)
    await composer.fill("/help")
    await composer.press("Enter")
    own = page.locator('[data-testid=message][data-from-bot="false"]').last
    await expect(own.get_by_test_id("message-text")).to_have_text("/help")


async def test_an_arrow_leads_to_the_newest_message_when_the_page_is_scrolled_up(page: Page) -> None:
    arrow = page.get_by_test_id("to-end")
    for number in range(30):
        await page.get_by_test_id("composer").fill(f"line {number}")
        await page.get_by_test_id("composer").press("Enter")
    last = page.get_by_test_id("message").last
    await expect(page.get_by_text("line 29", exact=True)).to_be_attached()
    await expect(last).to_be_in_viewport()
    await expect(arrow).to_be_hidden()
    await page.locator(".scroll").hover()
    await page.mouse.wheel(0, -3000)
    await expect(arrow).to_be_visible()
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / "arrow.png")
    await arrow.click()
    await expect(last).to_be_in_viewport()
    await expect(arrow).to_be_hidden()


async def test_a_message_is_forwarded_to_another_chat(page: Page) -> None:
    await page.get_by_test_id("new").click()
    await page.get_by_test_id("new-group").click()
    await page.locator("[name=title]").fill("Forwarded")
    await page.get_by_test_id("dialog-save").click()
    await expect(page.get_by_role("heading", name="Forwarded")).to_be_visible()
    await page.get_by_test_id("composer").fill("pass this on")
    await page.get_by_test_id("composer").press("Enter")
    message = page.get_by_test_id("message").filter(has_text="pass this on")
    await message.click(button="right")
    await page.get_by_test_id("menu-forward").click()
    if folder := os.environ.get("SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / "forward.png")
    await page.get_by_test_id("forward-choice").filter(has_text="Aisha").click()
    await expect(page.get_by_role("heading", name="Aisha")).to_be_visible()
    await expect(page.get_by_text("pass this on").last).to_be_visible()


async def test_a_new_group_stays_open_when_an_older_state_arrives_late(page: Page) -> None:
    late, made = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        if late.is_set():
            await route.continue_()
            return
        late.set()
        response = await route.fetch()
        await made.wait()
        await route.fulfill(response=response)

    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.get_by_test_id("new").click()
    await page.get_by_test_id("new-group").click()
    await page.locator("[name=title]").fill("Late")
    await page.route(re.compile("/state$"), hold)
    await page.evaluate("fetch('/sandbox/api/chats', {method: 'POST', body: '{\"title\": \"Another\"}'})")
    await late.wait()
    async with page.expect_response(lambda response: response.url.endswith("/chats")):
        await page.get_by_test_id("dialog-save").click()
    with suppress(AssertionError):  # it must not open before the older state has come
        await expect(page.get_by_role("heading", name="Late", level=1)).to_be_visible(timeout=1000)
    async with page.expect_response(lambda response: response.url.endswith("/messages")):
        made.set()
    await expect(page.get_by_role("heading", name="Late", level=1)).to_be_visible()


async def test_a_file_that_is_chosen_before_the_chats_are_known_is_sent(page: Page, tmp_path: Path) -> None:
    clip = next(clip for clip in prompts() if clip.path.stem == "tt-weasels")
    voice = write(tmp_path / "weasels.ogg", samples(clip.path))
    chosen = asyncio.Event()

    async def hold(route: Route) -> None:
        await chosen.wait()
        await route.continue_()

    def uploads(response: Response) -> bool:
        return response.request.method == "POST" and response.url.endswith("/messages")

    await page.route(re.compile("/state$"), hold)
    await page.reload()
    await page.get_by_test_id("attach-input").set_input_files(voice)
    async with page.expect_response(uploads) as sent:
        chosen.set()
    assert (await sent.value).ok
