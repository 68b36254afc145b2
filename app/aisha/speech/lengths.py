"""What a container declares about its length, told from what FFmpeg estimates where it declares none.

Only a declared length can show that the end of a recording is missing. Writers that cannot go back to the header
put a placeholder there, and of bare streams FFmpeg divides the size by the bit rate of the beginning.
"""

import io
import re
import struct
from fractions import Fraction
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from aisha.speech.container import behind_tags, in_seconds, rewound

DECLARING = frozenset(
    {
        *(
            "aiff",
            "ape",
            "asf",
            "au",
            "avi",
            "caf",
            "dsf",
            "flac",
            "flv",
            "iff",
            "matroska",
            "mov",
            "mp3",
            "mpc",
        ),
        *("mpc8", "nistsphere", "nut", "rm", "sox", "tak", "tta", "voc", "w64", "wav", "wv"),
    }
)
"""FFmpeg's names of the containers whose headers have a length (MP3: by the tags Xing, Info or VBRI)."""

SENDERS = frozenset({"ogg", "matroska"})
"""Containers of recorders that declare no length: there the sender's word counts, as it was measured in recording."""

PLACEHOLDER = 0x7E000000
"""Bytes or ticks; a larger number is no length: 2^31-1, 2^32-1 and the like, less a header."""

FINEST = Fraction(1, 200_000)
"""Seconds; a time base that is finer may well count so many ticks."""

CHUNKS = {
    "wav": (12, "<4sI", b"data"),
    "avi": (0, "<4sI", b"RIFF"),
    "caf": (8, ">4sq", b"data"),
}
"""Where chunks begin, what their headers are, and which one has the sound: FFmpeg tells only what is there of it."""

SAME = 0.02
EBML_DURATION = re.compile(rb"\x44\x89(?:\x84(.{4})|\x88(.{8}))", re.DOTALL)
CLUSTER = b"\x1f\x43\xb6\x75"
MPEG_COUNT = re.compile(rb"(?:Xing|Info)\0\0\0[\x01-\x0f](.{4})|VBRI.{10}(.{4})", re.DOTALL)


def declared_seconds(container: InputContainer, stream: AudioStream, file: BinaryIO) -> float | None:
    """Return the track's length by the headers; a container's own says nothing about one of its many tracks."""
    kind = container.format.name.split(",")[0]
    if kind not in DECLARING or not _has_length(kind, stream, file):
        return None
    if kind in CHUNKS:
        return _seconds_of_chunk(*CHUNKS[kind], probable_seconds(container, stream), file)
    seconds = _believed(stream, stream.duration, stream.time_base) or _tagged(stream.metadata)
    if not seconds and _is_alone(stream, container):
        seconds = _believed(stream, container.duration, Fraction(1, av.time_base))
    return None if not seconds or _is_estimate(container, seconds) else seconds


def probable_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the length that FFmpeg estimates, which is good enough to plan with."""
    return _believed(stream, container.duration, Fraction(1, av.time_base))


def _is_alone(stream: AudioStream, container: InputContainer) -> bool:
    """Tell whether there is nothing beside a track but pictures of its cover."""
    cover = av.stream.Disposition.attached_pic
    return all(other is stream or other.disposition & cover for other in container.streams)


def _has_length(kind: str, stream: AudioStream, file: BinaryIO) -> bool:
    """Tell whether a container that need not have a length has one."""
    if kind == "flac":
        header = stream.codec_context.extradata or b""
        return bool(int.from_bytes(header[13:18], "big") & (1 << 36) - 1)
    if kind == "mp3":
        counts = MPEG_COUNT.search(behind_tags(file))
        return bool(counts and any(int.from_bytes(count or b"", "big") for count in counts.groups()))
    if kind == "matroska":
        duration = EBML_DURATION.search(behind_tags(file).partition(CLUSTER)[0])
        return bool(duration and any((duration[1] or duration[2] or b"").strip(b"\0")))
    return True


def _seconds_of_chunk(
    begin: int, header: str, name: bytes, seconds: float | None, file: BinaryIO
) -> float | None:
    """Return the length when a chunk is all there, from the seconds that there are; None if it is, or has no size."""
    with rewound(file) as chunks:
        whole = chunks.seek(0, io.SEEK_END)
        chunks.seek(begin)
        while len(head := chunks.read(struct.calcsize(header))) == struct.calcsize(header):
            found, size = struct.unpack(header, head)
            there = whole - chunks.tell()
            if found == name:
                cut = 0 < there < size < PLACEHOLDER
                return seconds * size / there if cut and seconds else None
            if not 0 <= size <= there:
                return None
            chunks.seek(size + size % 2, io.SEEK_CUR)
    return None


def _believed(stream: AudioStream, ticks: int | None, unit: Fraction | None) -> float | None:
    """Return a length in seconds, None for a placeholder."""
    seconds = in_seconds(ticks, unit)
    if ticks is None or unit is None or seconds is None:
        return None
    size = seconds * (stream.codec_context.bit_rate or 0) / 8
    return None if size >= PLACEHOLDER or (ticks >= PLACEHOLDER and unit >= FINEST) else seconds


def _is_estimate(container: InputContainer, seconds: float) -> bool:
    """Tell whether a length is just what the size divided by the bit rates gives, as of a file that is whole."""
    contexts = [stream.codec_context for stream in container.streams if stream.type in ("audio", "video")]
    rates: list[int] = [context.bit_rate or 0 for context in contexts if context]
    rate = sum(rates)
    return bool(rate and container.size > 0 and abs(container.size * 8 / rate - seconds) < SAME * seconds)


def _tagged(metadata: dict[str, str]) -> float | None:
    """Return the length that Matroska tells in the tag DURATION, as 00:01:02.345000000."""
    tag = next((value for key, value in metadata.items() if key.upper().startswith("DURATION")), "")
    try:
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
