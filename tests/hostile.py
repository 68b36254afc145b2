"""Files that are made to exhaust whoever parses them."""

import io
import itertools
import re
import struct
import zlib

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
    """A MOV whose chunks of sound lie at its two ends in turn, so that each must be read elsewhere."""
    data = bytearray(encode(pcm, "mov", "pcm_s16le", video=True))
    places = [found.end() + 4 for found in re.finditer(b"stco", data)]
    counts = [struct.unpack_from(">I", data, place)[0] for place in places]
    tables = [
        struct.unpack_from(f">{count}I", data, place + 4) for place, count in zip(places, counts, strict=True)
    ]
    ends = sorted([*itertools.chain(*tables), data.index(b"moov") - 4])
    chunks = [data[begin : ends[ends.index(begin) + 1]] for begin in tables[-1]]
    order = [*range(0, len(chunks), 2), *reversed(range(1, len(chunks), 2))]
    new, place = [0] * len(chunks), len(data) + 8
    for number in order:
        new[number] = place
        place += len(chunks[number])
    struct.pack_into(f">{len(new)}I", data, places[-1] + 4, *new)
    return bytes(data) + struct.pack(">I4s", place - len(data), b"mdat") + b"".join(chunks[n] for n in order)
