"""The parameters of a request: query, form, multipart or JSON; files go straight to disk."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, MultipartReader, web

from aisha_sandbox.answers import bad_request
from aisha_sandbox.files import Files, Upload
from aisha_sandbox.state import Json

CHUNK = 256 * 1024
LONGEST_FIELD = 8 * 1024 * 1024


@dataclass
class Params:
    """One call's parameters as sent, text or JSON values, the files beside them, and whether the caller is there."""

    values: Json = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    connected: Callable[[], bool] = lambda: True

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a parameter as text."""
        value = self.values.get(name)
        return default if value is None else value if isinstance(value, str) else json.dumps(value)

    def number(self, name: str, default: int = 0) -> int:
        """Return a parameter as a whole number; one that is none counts as the default, as with Telegram."""
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            return default

    def flag(self, name: str) -> bool:
        """Return a parameter as a Boolean."""
        return str(self.values.get(name, "")).lower() in {"true", "1", "yes", "y", "t"}

    def json(self, name: str) -> Any:
        """Return a parameter that is JSON, perhaps written as text.

        Raises:
            ApiError: it cannot be parsed.
        """
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {name} JSON object") from None

    def upload(self, name: str, given: Any) -> Upload | None:
        """Return the file that `attach://NAME` means; given anything else, the one sent under the parameter's name."""
        text = str(given or "")
        return self.uploads.get(text.removeprefix("attach://") if text.startswith("attach://") else name)

    def shown(self) -> Json:
        """Return what the call log keeps: values as sent, and each file's name and size."""
        files = {n: {"file_name": u.name, "file_size": u.size} for n, u in self.uploads.items()}
        return {n: _decoded(v) for n, v in self.values.items()} | files

    def discard(self) -> None:
        """Delete the files that no message took."""
        for upload in self.uploads.values():
            upload.discard()


def _decoded(value: Any) -> Any:
    """Return JSON that was sent as text as what it says, for a readable log."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


async def read(request: web.Request, files: Files) -> Params:
    """Read the parameters of a request.

    Raises:
        ApiError: the body cannot be read.
    """
    transport = request.transport
    params = Params(
        dict(request.query), connected=lambda: transport is not None and not transport.is_closing()
    )
    kind = request.content_type
    if kind.startswith("multipart/"):
        await read_parts(await request.multipart(), params, files)
    elif kind == "application/json":
        params.values |= object_from(await request.text())
    elif kind == "application/x-www-form-urlencoded":
        params.values |= {k: v for k, v in (await request.post()).items() if isinstance(v, str)}
    return params


def object_from(body: str) -> Json:
    """Return a JSON object.

    Raises:
        ApiError: it is none.
    """
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except ValueError:
        raise bad_request("can't parse request body as JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("can't parse request body as JSON object")
    return {k: v for k, v in value.items() if v is not None}


async def read_parts(reader: MultipartReader, params: Params, files: Files) -> None:
    """Read a multipart body; parts with a file name are files."""
    async for part in reader:
        if not isinstance(part, BodyPartReader):
            continue
        if part.filename is None:
            params.values[part.name or ""] = await _field(part)
            continue
        name, stem = part.name or "file", part.name or "file"
        while name in params.uploads:
            name = f"{stem}#{len(params.uploads)}"
        mime = part.headers.get("Content-Type")
        params.uploads[name] = await files.receive(part.filename, mime, _chunks(part))


async def _field(part: BodyPartReader) -> str:
    raw = b"".join([chunk async for chunk in _chunks(part, LONGEST_FIELD)])
    return raw.decode("utf-8", "replace")


async def _chunks(part: BodyPartReader, longest: int | None = None) -> AsyncIterator[bytes]:
    size = 0
    while chunk := await part.read_chunk(CHUNK):
        size += len(chunk)
        if longest and size > longest:
            raise bad_request("field is too long")
        yield chunk
