"""A recording within a Telegram message: what is known of it before its file is fetched."""

from dataclasses import dataclass
from mimetypes import MimeTypes
from pathlib import PurePath

from aiogram.enums import ChatType
from aiogram.types import Document, Message, MessageOriginChannel

MEDIA_SUFFIXES = frozenset(
    [
        ".3g2",
        ".3ga",
        ".3gp",
        ".3gpp",
        ".aa",
        ".aac",
        ".ac3",
        ".adts",
        ".aif",
        ".aifc",
        ".aiff",
        ".alac",
        ".amr",
        ".ape",
        ".asf",
        ".au",
        ".avi",
        ".awb",
        ".caf",
        ".dff",
        ".divx",
        ".dsf",
        ".dts",
        ".dv",
        ".dvr-ms",
        ".eac3",
        ".f4a",
        ".f4v",
        ".flac",
        ".flv",
        ".gsm",
        ".m1v",
        ".m2p",
        ".m2t",
        ".m2ts",
        ".m2v",
        ".m4a",
        ".m4b",
        ".m4r",
        ".m4v",
        ".mka",
        ".mkv",
        ".mod",
        ".mov",
        ".mp1",
        ".mp2",
        ".mp3",
        ".mp4",
        ".mpa",
        ".mpc",
        ".mpe",
        ".mpeg",
        ".mpg",
        ".mpga",
        ".mts",
        ".mxf",
        ".nut",
        ".oga",
        ".ogg",
        ".ogm",
        ".ogv",
        ".ogx",
        ".oma",
        ".opus",
        ".qt",
        ".qta",
        ".ra",
        ".rm",
        ".rmvb",
        ".snd",
        ".spx",
        ".tak",
        ".tod",
        ".trp",
        ".ts",
        ".tta",
        ".vob",
        ".voc",
        ".w64",
        ".wav",
        ".wave",
        ".weba",
        ".webm",
        ".wma",
        ".wmv",
        ".wtv",
        ".wv",
    ]
)
MEDIA_TYPES = frozenset(
    [
        "application/mp4",
        "application/mxf",
        "application/ogg",
        "application/vnd.ms-asf",
        "application/vnd.rn-realmedia",
        "application/vnd.rn-realmedia-vbr",
        "application/x-matroska",
    ]
)
UNSPECIFIC = frozenset(["", "application/octet-stream", "application/x-binary", "binary/octet-stream"])
"""What clients declare when they do not know a file's type."""

OTHER_SUFFIXES = frozenset(
    [
        ".7z",
        ".apk",
        ".deb",
        ".dmg",
        ".docx",
        ".epub",
        ".gz",
        ".heic",
        ".iso",
        ".odt",
        ".pptx",
        ".psd",
        ".rar",
        ".torrent",
        ".xlsx",
        ".xz",
    ]
)
KNOWN_TYPES = MimeTypes(filenames=())
"""Python's own table, which is the same on every machine."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A file with sound; `size` in bytes and `seconds` as the sender's client declared them, or None."""

    kind: str
    file_id: str
    file_unique_id: str
    size: int | None
    seconds: float | None
    name: str | None


def recording_of(message: Message, *, asked: bool = False) -> Recording | None:
    """Return the message's voice, audio, video note or video, or a document that is audio or video.

    A document whose type nobody knows is one too, because it has to be looked at. In a group that is true only if
    somebody asked, and music is a recording only then.
    """
    asked = asked or message.chat.type == ChatType.PRIVATE
    if not asked and _is_music(message):
        return None
    for kind in ("voice", "audio", "video_note", "video"):
        if file := getattr(message, kind):
            name = getattr(file, "file_name", None)
            return Recording(kind, file.file_id, file.file_unique_id, file.file_size, file.duration, name)
    file = message.document
    if file and not message.animation and (_is_media(file) or (asked and _is_unknown(file))):
        name = file.file_name
        return Recording("document", file.file_id, file.file_unique_id, file.file_size, None, name)
    return None


def _is_music(message: Message) -> bool:
    """Tell whether an audio file is a song, by its tags or because a channel has posted it."""
    posted = (
        message.is_automatic_forward
        or (message.sender_chat and message.sender_chat.type == ChatType.CHANNEL)
        or isinstance(message.forward_origin, MessageOriginChannel)
    )
    if message.audio:
        return bool(message.audio.performer or message.audio.title or posted)
    return bool(posted and message.document and (message.document.mime_type or "").startswith("audio/"))


def _is_media(document: Document) -> bool:
    declared = (document.mime_type or "").lower()
    if declared.startswith(("audio/", "video/")) or declared in MEDIA_TYPES:
        return True
    return _suffix(document) in MEDIA_SUFFIXES and not declared.startswith(("text/", "image/"))


def _is_unknown(document: Document) -> bool:
    """Tell whether neither the declared type nor the name says what a file is."""
    if (document.mime_type or "").lower() not in UNSPECIFIC or _suffix(document) in OTHER_SUFFIXES:
        return False
    return (KNOWN_TYPES.guess_type(document.file_name or "")[0] or "") in UNSPECIFIC


def _suffix(document: Document) -> str:
    return PurePath(document.file_name or "").suffix.lower()
