"""Opens the containers that recordings come in, and detects one that ends before its own header says."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from typing import BinaryIO

import av
import av.error
import av.logging
from av.container import InputContainer

from aisha.errors import EmptyFileError, UnreadableFileError

OGG_PAGE = 65_307
"""The largest Ogg page, in bytes (RFC 3533, section 6)."""

MOST_STREAMS = 256
SEPARATE_HEADER = frozenset({b"OggS", b"\x1aE\xdf\xa3", b"FLV\x01"})
"""Beginnings of Ogg, Matroska and FLV, which FFmpeg reads as far as the first sound."""

LONGEST_MPEG_FRAME = 1441
HEAD = 256 * 1024
"""Bytes."""

NESTING = frozenset(
    {"concat", "dash", "ffmetadata", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest"}
)
"""Playlists: they name other files, which a stranger's file must not."""


def open_container(file: BinaryIO, seekable: bool) -> InputContainer:
    """Open a container; its content decides the format, never a name.

    Raises:
        EmptyFileError: there are no bytes, or a header and nothing behind it.
        UnreadableFileError: it is no audio or video, or a playlist.
    """
    if seekable:
        if file.seek(0, io.SEEK_END) == 0:
            raise EmptyFileError("the file is empty")
        file.seek(0)
    pipe = None if seekable else _Pipe(file)
    av.logging.set_level(None)
    try:
        container = av.open(pipe or file, mode="r", container_options=_options(), metadata_errors="replace")
    except (
        av.error.FFmpegError,
        OSError,
        ValueError,
    ) as error:  # among them what a seek to a place that cannot be raises
        if pipe and not pipe.any:
            raise EmptyFileError("the stream is empty") from None
        if seekable and _is_header_only(file, error):
            raise EmptyFileError("the file is empty: it holds no sound") from None
        raise UnreadableFileError(f"not audio or video that can be read: {_reason(error)}") from None
    if NESTING & set(container.format.name.split(",")):
        container.close()
        raise UnreadableFileError(f"a playlist, not a recording: {container.format.name}")
    return container


@cache
def _options() -> dict[str, str]:
    """Return what FFmpeg may do while it opens a container: no other file, and no decoder but those of sound."""
    sound = sorted(name for name in av.codecs_available if _is_sound(name))
    return {
        "protocol_whitelist": "none",
        "codec_whitelist": ",".join(sound),
        "max_streams": str(MOST_STREAMS),
    }


def _is_sound(name: str) -> bool:
    try:
        return av.Codec(name, "r").type == "audio"
    except ValueError:
        return False  # it only encodes


def _is_header_only(file: BinaryIO, error: Exception) -> bool:
    """Tell whether a header that is whole is followed by nothing, or an ID3 tag by less than one frame."""
    with rewound(file) as start:
        magic = start.read(4)
    if magic[:3] == b"ID3":
        return len(behind_tags(file)) <= LONGEST_MPEG_FRAME
    return magic in SEPARATE_HEADER and isinstance(error, av.error.EOFError) and not ends_within_page(file)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def in_seconds(value: int | None, unit: Fraction | int | None) -> float | None:
    """Return a duration in units of a stream's time base, or in parts of a second, as seconds."""
    if value is None or unit is None or value <= 0:
        return None
    return float(value * unit) if isinstance(unit, Fraction) else value / unit


@contextmanager
def rewound(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file from its beginning, and put it back to where FFmpeg reads it; an empty one if it cannot seek."""
    if not file.seekable():
        yield io.BytesIO()
        return
    place = file.tell()
    file.seek(0)
    try:
        yield file
    finally:
        file.seek(place)


def behind_tags(file: BinaryIO) -> bytes:
    """Return the beginning of a file behind its ID3 tags, which may hold pictures."""
    with rewound(file) as start:
        begin = 0
        while (tag := start.read(10))[:3] == b"ID3" and len(tag) == 10:
            sizes = zip(tag[6:], (21, 14, 7, 0), strict=True)
            begin += 10 + sum((byte & 0x7F) << shift for byte, shift in sizes)
            start.seek(begin)
        start.seek(begin)
        return start.read(HEAD)


class _Pipe:
    """A stream that cannot seek, as FFmpeg expects it: without `seek`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.any = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size) or b""
        self.any = self.any or bool(data)
        return data


def ends_within_page(file: BinaryIO) -> bool:
    """Tell whether a seekable Ogg file's last page is shorter than its header says (RFC 3533, section 6)."""
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - 2 * OGG_PAGE)
    file.seek(tail_start)
    tail = file.read()
    page = tail.rfind(b"OggS")
    if page < 0:
        return False
    if len(tail) < page + 27 or len(tail) < page + 27 + tail[page + 26]:
        return True
    segments = tail[page + 27 : page + 27 + tail[page + 26]]
    return len(tail) < page + 27 + len(segments) + sum(segments)
