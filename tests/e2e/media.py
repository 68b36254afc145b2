"""Files as Telegram clients make them, from recorded speech."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from aisha.speech.audio import blocks

RATE = 16_000


def samples(path: Path) -> NDArray[np.int16]:
    """Return a recording's samples at 16 kHz mono."""
    return np.concatenate(list(blocks(path)))


def write(
    path: Path, pcm: NDArray[np.int16], codec: str = "libopus", rate: int = 48_000, layout: str = "mono"
) -> Path:
    """Encode 16 kHz mono samples; the container is the name's."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        fifo = av.AudioFifo()
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            resampled.pts = None
            fifo.write(resampled)
        size = stream.codec_context.frame_size or 1024
        while piece := fifo.read(size) or fifo.read(0, partial=True):
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def voice(source: Path, folder: Path) -> Path:
    """Return a recording as a voice message: Opus in Ogg."""
    return write(folder / f"{source.stem}.ogg", samples(source))
