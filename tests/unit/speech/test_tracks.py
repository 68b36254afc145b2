"""What is heard of several tracks, and when."""

import io

import av
import numpy as np
import pytest
from tests.integration.speech.recordings import Pcm, encode, tone, tracks, write

from aisha.speech.audio import AudioInfo, blocks, probe
from aisha.speech.level import RATE

SILENT = np.zeros(3 * RATE, np.int16)
VOICE, OTHER = tone(3, 300), tone(3, 700)


def heard(data: bytes) -> tuple[Pcm, AudioInfo]:
    reader = blocks(io.BytesIO(data))
    pcm = np.concatenate(list(reader))
    return pcm, reader.info


def pitch(pcm: Pcm) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm.astype(float)))) * RATE / pcm.size)


@pytest.mark.parametrize(
    ("data", "track", "hertz"),
    [
        (tracks(VOICE, OTHER), 1, 300),
        (tracks(VOICE, OTHER, default=1), 2, 700),
        (tracks(SILENT, OTHER), 2, 700),
        (tracks(VOICE, SILENT, default=1), 1, 300),
        (tracks(SILENT, SILENT, OTHER, container="mp4"), 3, 700),
        (tracks(SILENT, (VOICE * 0.01).astype(np.int16)), 1, None),
    ],
    ids=["the first", "the default", "not the silent one", "not a silent default", "the third", "none"],
)
def test_the_default_track_is_heard_unless_another_one_is_the_only_one_with_sound(
    data: bytes, track: int, hertz: int | None
) -> None:
    pcm, info = heard(data)
    assert (info.track, info.tracks) == (track, 2 if track < 3 else 3)
    assert hertz is None or pitch(pcm) == pytest.approx(hertz, abs=2)


def test_a_track_that_ends_before_another_one_is_whole() -> None:
    assert not heard(tracks(VOICE, tone(20, 700)))[1].truncated
    without_tags = tracks(VOICE, tone(20, 700)).replace(b"DURATION", b"DURATI0N")
    assert not heard(without_tags)[1].truncated


def test_probing_tells_how_many_tracks_there_are() -> None:
    assert probe(io.BytesIO(tracks(VOICE, OTHER))).tracks == 2
    assert probe(io.BytesIO(encode(VOICE))).tracks == 1


def gapped(container: str, codec: str, gap: float, options: dict[str, str] | None = None) -> bytes:
    """Return a second of sound, nothing for `gap` seconds, and a second of sound."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        write(output, stream, tone(1))
        write(output, stream, tone(1, 700), 1 + gap)
        output.mux(stream.encode(None))
    return file.getvalue()


def begin_of_second(pcm: Pcm) -> float:
    loud = np.flatnonzero(np.abs(pcm[2 * RATE :].astype(int)) > 2000)
    return 2 + loud[0] / RATE


GAPPED = [
    ("matroska", "pcm_s16le", None),
    ("matroska", "pcm_s16le", {"live": "1"}),
    ("mp4", "flac", None),
    ("matroska", "flac", {"live": "1"}),
]


@pytest.mark.parametrize(("container", "codec", "options"), GAPPED)
@pytest.mark.parametrize("gap", [90, 720])
def test_what_is_behind_a_gap_keeps_its_time(
    container: str, codec: str, options: dict[str, str] | None, gap: int
) -> None:
    pcm, info = heard(gapped(container, codec, gap, options))
    assert begin_of_second(pcm) == pytest.approx(1 + gap, abs=0.15)
    assert not info.truncated


def test_pauses_that_amr_leaves_out_keep_their_time() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="amr") as output:
        stream = output.add_stream("libopencore_amrnb", rate=8000, layout="mono", options={"dtx": "1"})
        stream.bit_rate = 12_200
        sound = np.concatenate([tone(1, rate=8000), np.zeros(20 * 8000, np.int16), tone(1, rate=8000)])
        for piece in sound.reshape(-1, 160):
            frame = av.AudioFrame.from_ndarray(piece[None].copy(), "s16", "mono")
            frame.sample_rate = 8000
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    pcm, info = heard(file.getvalue())
    assert pcm.size / RATE == pytest.approx(22, abs=0.2)
    assert begin_of_second(pcm) == pytest.approx(21, abs=0.2)
    assert not info.truncated


@pytest.mark.parametrize(("magic", "no_data"), [(b"#!AMR\n", 0x7C), (b"#!AMR-WB\n", 0x7C)])
def test_frames_of_amr_that_hold_nothing_last_as_long_as_others(magic: bytes, no_data: int) -> None:
    pcm, info = heard(magic + bytes([no_data]) * 100)
    assert pcm.size / RATE == pytest.approx(2.0, abs=0.05)
    assert (info.damaged, info.truncated) == (0, False)
