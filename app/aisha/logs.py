"""Structured logs on stderr: one event per line, with the message's id, and no secret.

Redaction happens where a line leaves the process, so it also covers tracebacks, file URLs and what libraries log.
"""

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

import structlog

from aisha.settings import Settings

BOT_TOKEN = re.compile(r"(?<!\d)\d{3,20}(?::|%3A)[A-Za-z0-9_-]{20,}", re.IGNORECASE)
URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):([^@/\s]+)@")


class Redactor:
    """Replaces known secrets, anything shaped like a bot token and passwords within URLs."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {
            part for secret in secrets for part in (secret, _password(secret), unquote(_password(secret)))
        }
        self._secrets = sorted({secret for secret in known if len(secret) >= 6}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return URL_PASSWORD.sub(r"\1:***@", BOT_TOKEN.sub("***", text))


class RedactingStream:
    """A text stream that redacts each write; a logging handler writes whole lines, so none is split."""

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact

    def write(self, text: str) -> int:
        """Write the text without its secrets."""
        return self._stream.write(self._redact(text))

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()


def configure(settings: Settings, process: str) -> None:
    """Send structlog and the standard library's logging to stderr, as `settings` say, bound to this process."""
    redact = Redactor(
        s.get_secret_value() for name in Settings.model_fields if _is_secret(s := getattr(settings, name))
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = _renderer(settings)
    if settings.log_format == "json" or not sys.stderr.isatty():
        shared.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(RedactingStream(sys.stderr, redact))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for noisy in ("aiogram", "rq", "alembic", "aiohttp.access", "urllib3", "psycopg.pool", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Send what ends the process through the log, so that it is redacted too."""
    logging.getLogger("aisha").critical("ended by an error", exc_info=(kind, error, traceback))


def _password(secret: str) -> str:
    """Return the password within an address, or nothing."""
    try:
        return urlsplit(secret).password or ""
    except ValueError:
        return ""


def _renderer(settings: Settings) -> Any:
    """Return what turns an event into a line; colours only for a terminal, whose renderer takes long to import."""
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    if not sys.stderr.isatty():
        return _plain_line
    from structlog.dev import ConsoleRenderer, plain_traceback

    return ConsoleRenderer(exception_formatter=plain_traceback)


def _plain_line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """Return `time [level] event [logger] key=value ...`, with a traceback below."""
    traceback = event.pop("exception", None)
    head = (
        f"{event.pop('timestamp')} [{event.pop('level')}] {event.pop('event')} [{event.pop('logger', '-')}]"
    )
    line = " ".join([head, *(f"{key}={value!r}" for key, value in sorted(event.items()))])
    return f"{line}\n{traceback}" if traceback else line


def _is_secret(value: object) -> bool:
    return hasattr(value, "get_secret_value")
