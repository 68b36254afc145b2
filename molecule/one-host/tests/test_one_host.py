"""Everything on one server, as people who speak to its bot and strangers find it; the sandbox stands for Telegram."""

import pytest
from hosts import address_of, stranger_reaches
from tests.e2e.harness import Telegram
from tests.e2e.media import voice
from tests.speech import librivox, word_error_rate

testinfra_hosts = ["one-host"]
INSIDE = {"registry": 5000, "postgresql": 5432, "redis": 6379, "minio": 9000, "a bot's figures": 8200}
ANSWERED_SECONDS = 90


@pytest.fixture
def answered(tmp_path):
    """Return a function that says something to the bot, and returns what was said and what the bot has heard."""
    telegram, clip = Telegram("http://127.0.0.1:8091"), librivox()[0]

    def say():
        chat = telegram.person("Ann")
        sent = telegram.send_file(chat, voice(clip.path, tmp_path))
        return clip.text, telegram.answer(chat, sent, seconds=ANSWERED_SECONDS).lower()

    return say


def test_a_voice_is_answered(answered):
    said, heard = answered()
    assert word_error_rate([said], [heard]) < 0.5, heard


def test_a_stranger_reaches_the_proxy_and_nothing_else():
    address = address_of("one-host")
    assert stranger_reaches(address, 443)
    assert [name for name, port in INSIDE.items() if stranger_reaches(address, port)] == []


def test_no_unit_has_failed(host):
    assert host.run("systemctl --failed --no-legend --plain").stdout == ""


def test_a_voice_is_answered_after_a_reboot(reboot, answered):
    reboot()
    said, heard = answered()
    assert word_error_rate([said], [heard]) < 0.5, heard
