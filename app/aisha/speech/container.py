"""Opens the containers that recordings come in, and detects one that ends before its own header says."""

import io
import struct
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

NESTING = frozenset(
    {"concat", "dash", "ffmetadata", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "webm_dash_manifest"}
)
"""Playlists: they name other files, which a stranger's file must not."""


def open_container(file: BinaryIO, seekable: bool) -> InputContainer:
    """Open a container; its content decides the format, never a name.

    Raises:
        EmptyFileError: there are no bytes.
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


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def in_seconds(value: int | None, unit: Fraction | int | None) -> float | None:
    """Return a duration in units of a stream's time base, or in parts of a second, as seconds."""
    if value is None or unit is None or value <= 0:
        return None
    return float(value * unit) if isinstance(unit, Fraction) else value / unit


def tagged_seconds(metadata: dict[str, str]) -> float | None:
    """Return the length that Matroska tells in the tag DURATION, as 00:01:02.345000000."""
    tag = next((value for key, value in metadata.items() if key.upper().startswith("DURATION")), "")
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def ends_early(file: BinaryIO, container: str) -> bool:
    """Tell whether a seekable file is shorter than its container says, if that says a length."""
    if container == "ogg":
        return _ends_within_page(file)
    return container == "wav" and _ends_within_data(file)


class _Pipe:
    """A stream that cannot seek, as FFmpeg expects it: without `seek`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.any = False

    def read(self, size: int) -> bytes:
        data = self._file.read(size) or b""
        self.any = self.any or bool(data)
        return data


def _ends_within_page(file: BinaryIO) -> bool:
    """Tell whether an Ogg file's last page is shorter than its header says (RFC 3533, section 6)."""
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


def _ends_within_data(file: BinaryIO) -> bool:
    """Tell whether a WAV file ends before its data chunk does; a streamed one says 0 or 2^32-1."""
    size = file.seek(0, io.SEEK_END)
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return length not in (0, 0xFFFFFFFF) and place + 8 + length > size
        place += 8 + length + length % 2
    return False
