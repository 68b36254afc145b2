"""A recording within a Telegram message: what is known of it before its file is fetched."""

from dataclasses import dataclass
from pathlib import PurePath

from aiogram.types import Message

MEDIA_SUFFIXES = frozenset(
    [
        ".3gp",
        ".aac",
        ".ac3",
        ".aif",
        ".aiff",
        ".amr",
        ".ape",
        ".asf",
        ".avi",
        ".caf",
        ".dts",
        ".flac",
        ".flv",
        ".m4a",
        ".m4b",
        ".m4v",
        ".mka",
        ".mkv",
        ".mov",
        ".mp2",
        ".mp3",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".oga",
        ".ogg",
        ".ogv",
        ".opus",
        ".ra",
        ".ts",
        ".wav",
        ".weba",
        ".webm",
        ".wma",
        ".wmv",
        ".wv",
    ]
)


@dataclass(frozen=True, slots=True)
class Recording:
    """A file with sound; `size` in bytes and `seconds` as the sender's client declared them, or None."""

    kind: str
    file_id: str
    file_unique_id: str
    size: int | None
    seconds: float | None
    name: str | None


def recording_of(message: Message) -> Recording | None:
    """Return the message's voice, audio, video note or video, or a document that is audio or video."""
    for kind in ("voice", "audio", "video_note", "video"):
        if file := getattr(message, kind):
            name = getattr(file, "file_name", None)
            return Recording(kind, file.file_id, file.file_unique_id, file.file_size, file.duration, name)
    document = message.document
    if document and not message.animation and _is_media(document.mime_type, document.file_name):
        return Recording(
            "document",
            document.file_id,
            document.file_unique_id,
            document.file_size,
            None,
            document.file_name,
        )
    return None


def _is_media(mime_type: str | None, file_name: str | None) -> bool:
    if (mime_type or "").startswith(("audio/", "video/")) or mime_type == "application/ogg":
        return True
    return PurePath(file_name or "").suffix.lower() in MEDIA_SUFFIXES
