"""Files that are made to exhaust whoever parses them."""

import io
import struct
import zlib
from itertools import pairwise

import av
import numpy as np
from tests.integration.speech.recordings import encode

RATE = 16_000
BLOCK = 1 << 20


def one_hertz(samples: int = 16_000) -> bytes:
    """PCM in Matroska in one packet, at one sample a second: each byte would become 16 kB."""
    data = _one_packet(np.zeros(samples, np.int16))
    return data.replace(struct.pack(">d", RATE), struct.pack(">d", 1.0))


def one_packet(seconds: float) -> bytes:
    """PCM in Matroska in one packet, at the lowest rate that a recorder makes."""
    data = _one_packet(np.zeros(int(seconds * 4_000), np.int16))
    return data.replace(struct.pack(">d", RATE), struct.pack(">d", 4_000.0))


def _one_packet(pcm: np.ndarray) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate = RATE
        output.mux(stream.encode(frame))
    return file.getvalue()


def pictures(pcm: np.ndarray, count: int = 3, side: int = 16_000) -> bytes:
    """A recording in Matroska with pictures attached, of which each takes 3 * side * side bytes decoded."""
    file = io.BytesIO()
    picture = black(side)
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libopus", rate=RATE, layout="mono")
        for number in range(count):
            output.add_attachment(f"cover{number}.png", "image/png", picture)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), "s16", "mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, "mono", RATE, RATE // 50)
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(resampled))
        output.mux(stream.encode(None))
    return file.getvalue()


def black(side: int) -> bytes:
    """A black PNG of `side` pixels squared, which is compressed a thousandfold."""
    size = side * (3 * side + 1)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = b"\x78\x01" + zeros_deflated(size) + struct.pack(">I", (size % 65_521) << 16 | 1)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def zeros_deflated(size: int) -> bytes:
    """As many zeros, compressed; one compressed block stands for all of them."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = compressor.compress(bytes(BLOCK)) + compressor.flush(zlib.Z_FULL_FLUSH)
    rest = zlib.compressobj(9, zlib.DEFLATED, -15)
    return block * (size // BLOCK) + rest.compress(bytes(size % BLOCK)) + rest.flush()


def jumping(pcm: np.ndarray) -> bytes:
    """A MOV whose chunks lie at its two ends in turn, so that each must be read elsewhere."""
    data = encode(pcm, "mov", "pcm_s16le")
    place = data.index(b"stco")
    count = struct.unpack_from(">I", data, place + 8)[0] - 1  # the last may be shorter
    offsets = struct.unpack_from(f">{count}I", data, place + 12)
    turns = [offsets[-1 - n // 2] if n % 2 else offsets[n // 2] for n in range(count)]
    size = min(after - before for before, after in pairwise(offsets))
    moved = bytearray(data)
    for here, there in zip(offsets, turns, strict=True):
        moved[there : there + size] = data[here : here + size]
    struct.pack_into(f">{count}I", moved, place + 12, *turns)
    return bytes(moved)
