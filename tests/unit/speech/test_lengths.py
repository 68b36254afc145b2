"""A recording is called cut off where something is missing, and only there; one without sound is called empty."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from tests.integration.speech.recordings import encode, tone, without_sound

from aisha.errors import EmptyFileError, UnreadableFileError
from aisha.speech.audio import AudioInfo, blocks

SECONDS = 6
RANDOM = np.random.default_rng(8)
UNEVEN = np.concatenate(
    [tone(2), (RANDOM.normal(size=32_000) * 3000).astype(np.int16), np.zeros(32_000, np.int16)]
)
"""Of a variable bit rate: what is estimated by the first seconds is wrong."""

PLACEHOLDERS = (0, 0x7FFFFFFF, 0x7FFFF000, 0x7F000000, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF, 0xFFFFFFFF - 44)


class Pipe(io.BytesIO):
    """A writer's end that cannot go back to the header."""

    def seekable(self) -> bool:
        return False

    seek = None


def piped(container: str, codec: str, options: dict[str, str] | None = None, **stream: object) -> bytes:
    """Return `UNEVEN` as written to a pipe."""
    file = Pipe()
    with av.open(file, "w", format=container, options=options or {}) as output:
        track = output.add_stream(codec, rate=16_000, layout="mono", **stream)
        resampler = av.AudioResampler(track.format, "mono", 16_000, track.codec_context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(UNEVEN.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, 0, Fraction(1, 16_000)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(track.encode(part))
        output.mux(track.encode(None))
    return file.getvalue()


def end(data: bytes, expected: float | None = None) -> AudioInfo:
    """Decode everything and return what is known then."""
    reader = blocks(io.BytesIO(data), expected)
    for _ in reader:
        pass
    return reader.info


PIPED = {
    "wav": ("wav", "pcm_s16le"),
    "wav of ADPCM": ("wav", "adpcm_ms"),
    "au": ("au", "pcm_s16be"),
    "caf": ("caf", "pcm_s16le"),
    "avi": ("avi", "mp2"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame", {"q": "4"}),
    "mp3 without a header": ("mp3", "libmp3lame", {"q": "4", "write_xing": "0", "id3v2_version": "0"}),
    "bare aac": ("adts", "aac"),
    "live webm": ("webm", "libopus", {"live": "1"}),
    "matroska": ("matroska", "aac"),
    "fragmented mp4": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}),
    "transport stream": ("mpegts", "mp2"),
    "ogg": ("ogg", "libopus"),
    "flv": ("flv", "aac"),
    "asf": ("asf", "mp2"),
}


@pytest.mark.parametrize("kind", PIPED)
def test_a_recording_that_was_written_to_a_pipe_is_whole(kind: str) -> None:
    info = end(piped(*PIPED[kind]))
    assert info.duration == pytest.approx(SECONDS, abs=0.2)
    assert not info.truncated


@pytest.mark.parametrize("length", PLACEHOLDERS, ids=hex)
@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF])
def test_a_wav_with_a_placeholder_for_its_length_is_whole(length: int, riff: int) -> None:
    wav = bytearray(encode(UNEVEN, "wav", "pcm_s16le"))
    place = wav.index(b"data") + 4
    wav[4:8], wav[place : place + 4] = riff.to_bytes(4, "little"), length.to_bytes(4, "little")
    assert end(bytes(wav)).duration == pytest.approx(SECONDS)
    assert not end(bytes(wav)).truncated


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF])
def test_an_au_with_a_placeholder_for_its_length_is_whole(length: int) -> None:
    au = bytearray(encode(UNEVEN, "au", "pcm_s16be"))
    au[8:12] = length.to_bytes(4, "big")
    assert not end(bytes(au)).truncated


def test_a_wav_whose_length_counts_its_own_header_is_whole() -> None:
    wav = bytearray(encode(UNEVEN, "wav", "pcm_s16le"))
    place = wav.index(b"data") + 4
    wav[place : place + 4] = len(wav).to_bytes(4, "little")
    assert not end(bytes(wav)).truncated


CUT = {
    "wav": ("wav", "pcm_s16le"),
    "wav of ADPCM": ("wav", "adpcm_ms"),
    "aiff": ("aiff", "pcm_s16be"),
    "caf": ("caf", "pcm_s16le"),
    "avi": ("avi", "mp2"),
    "flac": ("flac", "flac"),
    "mp3": ("mp3", "libmp3lame"),
    "matroska": ("matroska", "aac"),
    "ogg": ("ogg", "libopus"),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_recording_that_lacks_its_end_is_said_to(kind: str) -> None:
    whole = encode(UNEVEN, *CUT[kind])
    assert not end(whole).truncated
    assert end(whole[: len(whole) * 6 // 10]).truncated


def test_half_a_second_that_a_wav_lacks_is_missed() -> None:
    assert end(encode(UNEVEN, "wav", "pcm_s16le")[:-16_000]).truncated


@pytest.mark.parametrize("kind", ["mp3 without a header", "bare aac", "transport stream", "wav"])
def test_what_a_sender_estimated_does_not_make_a_recording_cut_off(kind: str) -> None:
    assert not end(piped(*PIPED[kind]), expected=20.0).truncated


@pytest.mark.parametrize("kind", ["ogg", "live webm"])
def test_what_a_recorder_measured_does(kind: str) -> None:
    assert end(piped(*PIPED[kind]), expected=20.0).truncated


@pytest.mark.parametrize(
    "kind",
    [
        *(
            ("wav", "pcm_s16le"),
            ("ogg", "libopus"),
            ("webm", "libopus"),
            ("matroska", "aac"),
            ("flac", "flac"),
        ),
        *(("aiff", "pcm_s16be"), ("avi", "mp2"), ("mp4", "aac"), ("mp3", "libmp3lame"), ("caf", "pcm_s16le")),
    ],
    ids=lambda kind: kind[0],
)
def test_a_header_without_sound_is_an_empty_file(kind: tuple[str, str]) -> None:
    with pytest.raises(EmptyFileError):
        end(without_sound(*kind))


@pytest.mark.parametrize("length", PLACEHOLDERS, ids=hex)
def test_a_wav_without_samples_is_empty_whatever_its_header_says(length: int) -> None:
    header = encode(UNEVEN, "wav", "pcm_s16le").partition(b"data")[0]
    with pytest.raises(EmptyFileError):
        end(header + b"data" + length.to_bytes(4, "little"))


@pytest.mark.parametrize("kind", ["ogg", "flac"])
def test_a_recording_cut_within_its_header_is_damaged_and_not_empty(kind: str) -> None:
    whole = encode(UNEVEN, *CUT[kind])
    with pytest.raises(UnreadableFileError):
        end(whole[:150])
