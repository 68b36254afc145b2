"""Files: stored once by content, given a new `file_id` at each sending, served by path.

`file_unique_id` follows the content, `file_id` the sending: https://core.telegram.org/bots/api#file.
"""

import asyncio
import hashlib
import json
import mimetypes
import os
import secrets
import shutil
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aisha_sandbox import media
from aisha_sandbox.answers import ApiError, bad_request
from aisha_sandbox.state import Json, State, dumps

MIB = 1024 * 1024
CLOUD_FILE_LIMIT = 20 * MIB
CLOUD_UPLOAD_LIMIT = 50 * MIB
LOCAL_LIMIT = 2000 * MIB
FOLDERS = {
    "voice": "voice", "audio": "music", "video": "videos", "video_note": "video_notes", "photo": "photos",
    "document": "documents", "animation": "animations",
}  # fmt: skip
SUFFIXES = {"voice": ".oga", "audio": ".mp3", "video": ".mp4", "video_note": ".mp4", "photo": ".jpg"}
MIME_TYPES = {"voice": "audio/ogg", "audio": "audio/mpeg", "video": "video/mp4"}


@dataclass(frozen=True)
class Upload:
    """A file that arrived on disk and belongs to no message yet."""

    path: Path
    name: str
    mime_type: str | None
    size: int
    digest: str

    def discard(self) -> None:
        """Delete it, unless it has been taken into the store."""
        self.path.unlink(missing_ok=True)


class Files:
    """The folder `files` and what is known of each content and each sending."""

    def __init__(self, state: State, data_dir: Path) -> None:
        self._state = state
        self.root = data_dir / "files"
        self._incoming = data_dir / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        for folder in (self.root, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)

    async def receive(self, name: str, mime_type: str | None, chunks: AsyncIterator[bytes]) -> Upload:
        """Stream an upload to disk."""
        path, digest, size = self._incoming / secrets.token_hex(12), hashlib.sha256(), 0
        with path.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > LOCAL_LIMIT:
                    path.unlink()
                    raise ApiError(413, "Request Entity Too Large")
                digest.update(chunk)
                file.write(chunk)
        return Upload(path, Path(name).name or "file", mime_type, size, digest.hexdigest())

    async def adopt(self, source: Path, name: str | None = None, mime_type: str | None = None) -> Upload:
        """Copy a file of this machine, by reference if the file system can.

        Raises:
            ApiError: there is none.
        """
        path = self._incoming / secrets.token_hex(12)
        try:
            digest = await asyncio.to_thread(_copy, source, path)
        except OSError as error:
            raise bad_request(f"cannot read {source}: {error.strerror}") from None
        return Upload(path, name or source.name, mime_type, path.stat().st_size, digest)

    async def voice(self, upload: Upload) -> Upload:
        """Return the upload as Telegram's clients would send it by voice: Ogg with Opus."""
        path = self._incoming / f"{secrets.token_hex(12)}.ogg"
        if not await asyncio.to_thread(media.as_voice, upload.path, path):
            return upload
        upload.discard()
        digest = await asyncio.to_thread(_digest, path)
        return Upload(path, "voice.ogg", "audio/ogg", path.stat().st_size, digest)

    async def store(self, upload: Upload, kind: str, given: Json) -> Json:
        """Take an upload into the store and return its media object (Voice, Audio, Document ...).

        `given` overrides what the file says of itself: duration, width, height, title, performer, mime_type.
        """
        facts = await asyncio.to_thread(media.probe, upload.path) if kind != "document" else {}
        unique_id = "AgAD" + urlsafe_b64encode(bytes.fromhex(upload.digest)[:9]).decode()
        path = self.root / upload.digest
        with self._state.transaction():
            upload.path.replace(path)
            self._state.run(
                "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, 0)", unique_id, upload.digest, upload.size
            )
            described = _describe(kind, upload, facts, given)
            return self._name(unique_id, kind, upload.name, described | {"file_size": upload.size})

    def _name(self, unique_id: str, kind: str, name: str, described: Json) -> Json:
        """Give a content a new file_id."""
        number = self._state.next("file_number", 0)
        suffix = SUFFIXES.get(kind) or Path(name).suffix
        if kind in {"audio", "video"}:
            suffix = Path(name).suffix or suffix
        file_id = f"{_PREFIX.get(kind, 'BQAC')}{secrets.token_urlsafe(36)}"
        found = {"file_id": file_id, "file_unique_id": unique_id} | described
        self._state.run(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
            file_id, number, unique_id, kind, f"{FOLDERS[kind]}/file_{number}{suffix}", dumps(found),
        )  # fmt: skip
        return found

    def again(self, file_id: str, kind: str) -> Json:
        """Return the media object of a known file sent once more, under a new file_id.

        Raises:
            ApiError: unknown, or of another kind.
        """
        row = self._state.row("SELECT * FROM files WHERE file_id = ?", file_id)
        if row is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        if row["kind"] != kind:
            names = {"voice": "VoiceNote", "video_note": "VideoNote"}
            expected, got = (names.get(k, k.title()) for k in (kind, row["kind"]))
            raise bad_request(f"can't use file of type {got} as {expected}")
        described = json.loads(row["media"])
        described = {k: v for k, v in described.items() if k not in {"file_id", "file_unique_id"}}
        return self._name(row["unique_id"], kind, described.get("file_name") or row["file_path"], described)

    def get(self, file_id: Any, limit: int, *, local: bool) -> Json:
        """Return the File object, with the path to download it from.

        Raises:
            ApiError: unknown, gone, or larger than `limit` bytes.
        """
        row = self._find("file_id", file_id)
        if row is None or row["gone"] or not (self.root / row["path"]).exists():
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        if row["size"] > limit:
            raise bad_request("file is too big")
        return {
            "file_id": row["file_id"],
            "file_unique_id": row["unique_id"],
            "file_size": row["size"],
            "file_path": str(self._local(row)) if local else row["file_path"],
        }

    def _find(self, column: str, value: Any) -> Any:
        return self._state.row(
            f"SELECT * FROM files JOIN contents USING (unique_id) WHERE {column} = ?",  # noqa: S608
            str(value),
        )

    def _local(self, row: Any) -> Path:
        """Return an absolute path with a telling name, as a local Bot API server has."""
        path: Path = self.root.parent / "local" / str(row["file_path"])
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.root / row["path"], path)
        return path.absolute()

    def located(self, file_path: str) -> Path | None:
        """Return the content behind a `file_path`, relative or absolute; None when it is gone."""
        prefix = str((self.root.parent / "local").absolute())
        row = self._find("file_path", ("/" + file_path.lstrip("/")).removeprefix(prefix).lstrip("/"))
        return self._content(row)

    def opened(self, file_id: str) -> tuple[Path, Json] | None:
        """Return the content and media object of a sending, for the web chat."""
        row = self._find("file_id", file_id)
        path = self._content(row)
        return (path, json.loads(row["media"])) if path else None

    def _content(self, row: Any) -> Path | None:
        if row is None or row["gone"]:
            return None
        path = self.root / str(row["path"])
        return path if path.exists() else None

    def forget(self, name: str) -> int:
        """Delete a content named by file_id or file_unique_id; return how many sendings it had."""
        rows = self._state.rows(
            "SELECT * FROM files JOIN contents USING (unique_id) WHERE unique_id IN"
            " (SELECT unique_id FROM files WHERE file_id = ? OR unique_id = ?)",
            name, name,
        )  # fmt: skip
        for row in rows:
            self._state.run("UPDATE contents SET gone = 1 WHERE unique_id = ?", row["unique_id"])
            (self.root / row["path"]).unlink(missing_ok=True)
            (self.root.parent / "local" / row["file_path"]).unlink(missing_ok=True)
        return len(rows)


_PREFIX = {"voice": "AwAC", "audio": "CQAC", "video": "BAAC", "video_note": "DQAC", "photo": "AgAC"}


def _describe(kind: str, upload: Upload, facts: Json, given: Json) -> Json:
    """Return the fields of the media object that its kind has."""
    mime = given.get("mime_type") or upload.mime_type or mimetypes.guess_type(upload.name)[0]
    if not mime or mime == "application/octet-stream":
        mime = MIME_TYPES.get(kind, "application/octet-stream")
    known = {**facts, **{k: v for k, v in given.items() if v not in (None, "")}}
    duration = int(float(known.get("duration") or 0))
    width, height = int(known.get("width") or 0), int(known.get("height") or 0)
    named = {"file_name": given.get("file_name") or upload.name, "mime_type": mime}
    tags = {k: str(known[k]) for k in ("title", "performer") if known.get(k)}
    shapes: dict[str, Json] = {
        "voice": {"duration": duration, "mime_type": "audio/ogg" if mime == "application/ogg" else mime},
        "audio": {"duration": duration} | tags | named,
        "video": {"duration": duration, "width": width, "height": height} | named,
        "animation": {"duration": duration, "width": width, "height": height} | named,
        "video_note": {"duration": duration, "length": int(known.get("length") or min(width, height) or 240)},
        "photo": {"width": width or 800, "height": height or 600},
        "document": named,
    }
    return shapes[kind]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> str:
    shutil.copyfile(source, target)
    return _digest(target)
