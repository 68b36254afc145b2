"""What a recording says about itself, and a browser's recording made into a Telegram voice message."""

from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from aisha_sandbox.state import Json

RECORDED = {"webm", "mp4"}


def probe(path: Path) -> Json:
    """Return duration (seconds), width, height, title, performer as far as known; {} when unreadable."""
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return _facts(container)
    except (FFmpegError, ValueError, OSError, IndexError):
        return {}


def _facts(container: Any) -> Json:
    facts: Json = {"audio": bool(container.streams.audio), "video": bool(container.streams.video)}
    seconds = _seconds(container)
    if seconds is not None:
        facts["duration"] = max(round(seconds), 0)
    if container.streams.video:
        stream = container.streams.video[0]
        facts |= {"width": stream.width, "height": stream.height}
    tags = {key.lower(): value for key, value in container.metadata.items()}
    facts |= {name: tags[tag] for name, tag in (("title", "title"), ("performer", "artist")) if tags.get(tag)}
    return facts


def _seconds(container: Any) -> float | None:
    if container.duration:
        return float(container.duration / av.time_base)
    streams = [*container.streams.audio, *container.streams.video]
    if not streams:
        return None
    ends = [
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux(streams[0])
        if packet.pts is not None
    ]
    return max(ends, default=None)


def as_voice(source: Path, target: Path) -> bool:
    """Write a browser's recording as Ogg with Opus, as Telegram's clients send voice; Opus packets are copied.

    Returns False, and writes nothing, for any file that no browser records: it is sent as it is.
    """
    try:
        with av.open(str(source)) as reader:
            if not reader.streams.audio or not RECORDED & set(reader.format.name.split(",")):
                return False
            copy = reader.streams.audio[0].codec_context.name in {"opus", "libopus"}
            with av.open(str(target), "w", format="ogg") as writer:
                (_copy if copy else _encode)(reader, writer)
        return True
    except (FFmpegError, ValueError, OSError):
        target.unlink(missing_ok=True)
        return False


def _copy(reader: Any, writer: Any) -> None:
    stream = writer.add_stream_from_template(reader.streams.audio[0])
    for packet in reader.demux(reader.streams.audio[0]):
        if packet.dts is not None:
            packet.stream = stream
            writer.mux(packet)


def _encode(reader: Any, writer: Any) -> None:
    stream = writer.add_stream("libopus", rate=48000, layout="mono")
    stream.bit_rate = 32000
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
    for frame in reader.decode(audio=0):
        for part in resampler.resample(frame):
            writer.mux(stream.encode(part))
    writer.mux(stream.encode(None))
