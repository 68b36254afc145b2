"""Recordings of any container and codec, made with PyAV, and ways to spoil them."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from aisha.speech.level import RATE

Pcm = np.ndarray


def tone(seconds: float, hertz: float = 440.0, rate: int = RATE, level: float = 0.3) -> Pcm:
    """Return a sine as int16 samples."""
    time = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * hertz * time) * level * 32767).astype(np.int16)


def encode(
    pcm: Pcm,
    container: str = "ogg",
    codec: str = "libopus",
    rate: int = RATE,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    video: bool = False,
    start: float = 0.0,
) -> bytes:
    """Return samples (16 kHz mono) as a file; several channels all carry the same, `start` delays the
    timestamps.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        pictures = _picture_stream(output) if video else None
        stream = output.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.format, layout, rate, stream.codec_context.frame_size or 1024)
        source = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        source.sample_rate, source.pts, source.time_base = RATE, 0, Fraction(1, RATE)
        frames = [*resampler.resample(source), *resampler.resample(None)]
        for frame in frames:
            if frame.pts is not None:
                frame.pts += int(start * rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if pictures:
            _draw(output, pictures, pcm.size / RATE)
    return file.getvalue()


def tracks(*sounds: Pcm, default: int | None = None, container: str = "matroska") -> bytes:
    """Return a file with a track for each sound."""
    file, chosen = io.BytesIO(), av.stream.Disposition.default
    with av.open(file, "w", format=container) as output:
        streams = [output.add_stream("aac", rate=RATE, layout="mono") for _ in sounds]
        for number, stream in enumerate(streams):
            stream.disposition = chosen if number == default else av.stream.Disposition(0)
        for stream, sound in zip(streams, sounds, strict=True):
            write(output, stream, sound)
    return file.getvalue()


def write(output: av.container.OutputContainer, stream: av.AudioStream, sound: Pcm, start: float = 0) -> None:
    """Encode a sound from a second on."""
    resampler = av.AudioResampler(stream.format, stream.layout, RATE, stream.codec_context.frame_size or 160)
    frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, int(start * RATE), Fraction(1, RATE)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(stream.encode(part))


def without_sound(container: str, codec: str) -> bytes:
    """Return a file that was begun and ended."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        output.start_encoding()
        output.mux(stream.encode(None))
    return file.getvalue()


def silent_video(seconds: float = 1.0, container: str = "mp4") -> bytes:
    """Return a video without sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        _draw(output, _picture_stream(output), seconds)
    return file.getvalue()


def with_cover(mp3: Path, pcm: Pcm) -> None:
    """Write an MP3 with album art."""
    with av.open(str(mp3), "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=RATE, layout="mono")
        cover = output.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
        for packet in cover.encode(picture.reformat(format="yuvj420p")):
            output.mux(packet)
        resampler = av.AudioResampler(stream.format, "mono", RATE, stream.codec_context.frame_size)
        source = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        source.sample_rate = RATE
        for frame in [*resampler.resample(source), *resampler.resample(None)]:
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _picture_stream(output: av.container.OutputContainer) -> av.VideoStream:
    stream = output.add_stream("mpeg4" if output.format.name != "webm" else "libvpx", rate=5)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    stream.time_base = Fraction(1, 5)
    return stream


def _draw(output: av.container.OutputContainer, stream: av.VideoStream, seconds: float) -> None:
    for number in range(max(1, int(seconds * 5))):
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), number % 256, np.uint8), "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 5)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
