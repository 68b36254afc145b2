"""What a log line has, and what it must not have."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from aisha import logs
from aisha.logs import RedactingStream, Redactor
from aisha.settings import Settings

TOKEN = "123456789:AAH-this_is_the_secret_token_itself0"
PASSWORD = "hunter2-hunter2"
SETTINGS = {
    "bot_token": TOKEN,
    "database_url": f"postgresql://aisha:{PASSWORD}@host/name",
    "s3_secret_key": "the-secret-key",
}


@pytest.fixture(params=["console", "json"])
def output(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, in both formats; afterwards logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure(Settings.model_validate({**SETTINGS, "log_format": request.param}), "test")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def secretive(text: str) -> bool:
    return not any(secret in text for secret in (TOKEN, "AAH-", PASSWORD, "the-secret-key"))


def raise_with_secrets() -> None:
    url = f"https://api.telegram.org/file/bot{TOKEN}/voice/file_1.oga"
    raise ConnectionError(f"cannot open {url} as {SETTINGS['s3_secret_key']}")


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"token {TOKEN}.",
        f"https://api.telegram.org/bot{TOKEN}/getFile",
        f"https://api.telegram.org/file/bot{TOKEN}/voice/file_1.oga",
        "bot987654321:BBG-another_token_that_no_setting_has",
        SETTINGS["database_url"],
        f"could not connect to redis://:{PASSWORD}@host:1/0 (refused)",
        "the-secret-key",
    ],
)
def test_a_secret_is_replaced_in_any_text(text: str) -> None:
    redact = Redactor([TOKEN, PASSWORD, "the-secret-key"])
    assert secretive(redact(text))
    assert "***" in redact(text)
    assert "BBG-" not in redact(text)


def test_a_token_in_an_address_is_replaced_though_no_setting_has_it() -> None:
    assert secretive(Redactor()(f"https://api.telegram.org/bot{TOKEN}/getMe"))


@pytest.mark.parametrize("text", ["chat 12345 says hello", "10:15:20 https://host:80/path", "ratio 16:9", ""])
def test_other_text_is_left_alone(text: str) -> None:
    assert Redactor([TOKEN])(text) == text


def test_a_stream_redacts_what_is_written_to_it() -> None:
    behind = io.StringIO()
    RedactingStream(behind, Redactor([PASSWORD])).write(f"the password is {PASSWORD}\n")
    assert behind.getvalue() == "the password is ***\n"


def test_no_secret_is_logged_by_an_event_its_values_or_a_traceback(output: io.StringIO) -> None:
    log = structlog.get_logger("test")
    log.info(f"event {TOKEN}", url=SETTINGS["database_url"], nested={"key": ["the-secret-key", TOKEN]})
    try:
        raise_with_secrets()
    except ConnectionError:
        log.exception("failed")
        logging.getLogger("library").exception("failed at %s", TOKEN)
    logged = output.getvalue()
    assert logged.count("ConnectionError") >= 2
    assert secretive(logged)


def test_a_line_has_the_process_the_level_and_what_is_bound(output: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(message=42):
        structlog.get_logger("test").warning("something", seconds=1.5)
    [line] = output.getvalue().splitlines()
    if line.startswith("{"):
        found = json.loads(line)
        assert found | {"event": "something", "message": 42, "process": "test", "seconds": 1.5} == found
        assert found["level"] == "warning"
    else:
        assert re.search(r"warning.* something .*message=42 process='?test", line)


def test_an_event_is_one_line_of_json(output: io.StringIO) -> None:
    try:
        raise_with_secrets()
    except ConnectionError:
        structlog.get_logger("test").exception("failed\nbadly")
    if output.getvalue().startswith("{"):
        [line] = output.getvalue().splitlines()
        assert "Traceback" in json.loads(line)["exception"]
