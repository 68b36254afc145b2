"""Webhooks over TLS: which CAs the sandbox trusts, which address it connects to, and how it reports both."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import BufferedInputFile, FSInputFile
from tests.integration.sandbox.client import Control
from tests.integration.sandbox.receiver import Receiver, until
from tests.integration.tls.terminator import Authority

from aisha_sandbox.server import Sandbox

HOST = "bot.example"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return made(tmp_path / "own")


@pytest.fixture
async def receiver(authority: Authority) -> AsyncIterator[Receiver]:
    receiver = Receiver(tls=authority.server)
    async with receiver as url:
        receiver.netloc = f"{HOST}:{urlsplit(url).port}"
        receiver.url = f"https://{receiver.netloc}/hook"
        yield receiver


def made(folder: Path, host: str = HOST) -> Authority:
    folder.mkdir()
    return Authority(folder, host)


def asked_names(context: ssl.SSLContext) -> list[str | None]:
    """Return a list that every TLS client's idea of the server's name will be added to."""
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    return names


async def refusal(bot: Bot, sandbox: Sandbox) -> str:
    await until(lambda: "last_error_message" in sandbox.core.webhook.info())
    return (await bot.get_webhook_info()).last_error_message


async def test_a_fixed_address_is_connected_to_by_the_names_of_the_url(
    bot: Bot, control: Control, ann: int, authority: Authority, receiver: Receiver
) -> None:
    names = asked_names(authority.server)
    certificate = FSInputFile(authority.file)
    await bot.set_webhook(receiver.url, certificate=certificate, ip_address="127.0.0.1", secret_token="hush")
    await control.say(ann, "hello")
    await until(lambda: receiver.seen)
    assert (receiver.hosts, names, receiver.seen[0][0]) == ([receiver.netloc], [HOST], "hush")
    info = await bot.get_webhook_info()
    assert (info.has_custom_certificate, info.ip_address, info.last_error_message) == (
        True,
        "127.0.0.1",
        None,
    )


async def test_without_the_certificate_nothing_is_posted_and_the_reason_is_told(
    bot: Bot, sandbox: Sandbox, control: Control, ann: int, authority: Authority, receiver: Receiver
) -> None:
    await bot.set_webhook(receiver.url, ip_address="127.0.0.1")
    await control.say(ann, "hello")
    assert (await refusal(bot, sandbox)).startswith("SSL error {certificate verify failed: ")
    assert not (await bot.get_webhook_info()).has_custom_certificate
    assert receiver.seen == []
    await bot.set_webhook(receiver.url, certificate=FSInputFile(authority.file), ip_address="127.0.0.1")
    await until(lambda: receiver.seen)


async def test_the_certificate_alone_is_trusted(
    bot: Bot,
    sandbox: Sandbox,
    control: Control,
    ann: int,
    authority: Authority,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The system's CAs no longer count, even if one of them has signed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    another = FSInputFile(made(tmp_path / "another").file)
    await bot.set_webhook(receiver.url, certificate=another, ip_address="127.0.0.1")
    await control.say(ann, "hello")
    assert (await refusal(bot, sandbox)).startswith("SSL error {certificate verify failed: ")


async def test_a_certificate_of_another_name_is_refused(
    bot: Bot, sandbox: Sandbox, control: Control, ann: int, authority: Authority, receiver: Receiver
) -> None:
    url = receiver.url.replace(HOST, "other.example")
    await bot.set_webhook(url, certificate=FSInputFile(authority.file), ip_address="127.0.0.1")
    await control.say(ann, "hello")
    assert "Hostname mismatch" in await refusal(bot, sandbox)


async def test_the_address_is_told_where_it_is_known_without_asking_dns(bot: Bot) -> None:
    told = []
    for url in ("https://bot.example/hook", "https://192.0.2.7/hook", "https://[2001:DB8::7]/hook"):
        await bot.set_webhook(url)
        told.append((await bot.get_webhook_info()).ip_address)
    assert told == [None, "192.0.2.7", "2001:db8::7"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"url": "https://bot.example:port/"}, "invalid URL"),
        ({"ip_address": "bot.example"}, "Invalid IP address specified"),
        ({"certificate": BufferedInputFile(b"no certificate", "x.pem")}, "Can't create an SSL context"),
        ({"certificate": BufferedInputFile(b"x" * 4 * 2**20, "x.pem")}, r"too big \(4194304 bytes\)"),
    ],
)
async def test_what_is_malformed_is_refused_and_changes_nothing(
    bot: Bot, given: dict[str, object], reason: str
) -> None:
    with pytest.raises(TelegramBadRequest, match=reason):
        await bot.set_webhook(**{"url": "https://bot.example/"} | given)
    assert (await bot.get_webhook_info()).url == ""
