"""Any recording becomes 16 kHz mono, and a bad one a clear error."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.integration.speech import recordings as made

from aisha.errors import EmptyFileError, NoSoundError, UnreadableFileError
from aisha.speech.audio import AudioInfo, blocks, probe
from aisha.speech.level import RATE

KINDS = {
    "telegram voice": ("ogg", "libopus", 48000, "mono"),
    "opus in webm": ("webm", "libopus", 48000, "mono"),
    "mp3 stereo": ("mp3", "libmp3lame", 44100, "stereo"),
    "aac in m4a": ("ipod", "aac", 44100, "stereo"),
    "aac surround in mp4": ("mp4", "aac", 48000, "5.1"),
    "aac of eight channels": ("mp4", "aac", 48000, "7.1"),
    "flac of eight channels": ("flac", "flac", 48000, "7.1"),
    "bare aac": ("adts", "aac", 22050, "mono"),
    "telephone wav": ("wav", "pcm_s16le", 8000, "mono"),
    "studio wav": ("wav", "pcm_s24le", 96000, "stereo"),
    "flac": ("flac", "flac", 44100, "mono"),
    "aac in matroska": ("matroska", "aac", 44100, "stereo"),
    "mp2 in a transport stream": ("mpegts", "mp2", 48000, "stereo"),
    "ac3 surround": ("ac3", "ac3", 48000, "5.1"),
    "alac in quicktime": ("mov", "alac", 44100, "stereo"),
    "mp2 in avi": ("avi", "mp2", 44100, "stereo"),
    "mu-law": ("au", "pcm_mulaw", 8000, "mono"),
    "aac in 3gp": ("3gp", "aac", 16000, "mono"),
}
TONE = made.tone(10)


class Pipe(io.RawIOBase):
    """A stream that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: memoryview) -> int:
        return self._inner.readinto(buffer)


def decode(data: bytes | io.RawIOBase, expected: float | None = None) -> tuple[np.ndarray, AudioInfo]:
    """Return all samples and what is known at the end."""
    reader = blocks(io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(data), expected)
    pieces = list(reader)
    return np.concatenate([np.zeros(0, np.int16), *pieces]), reader.info


def pitch(pcm: np.ndarray) -> float:
    """Return the strongest frequency in Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(pcm.astype(float)))) * RATE / pcm.size)


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_and_codec_becomes_16_khz_mono_at_its_own_pitch_and_length(kind: str) -> None:
    pcm, info = decode(made.encode(TONE, *KINDS[kind]))
    assert pcm.dtype == np.int16
    assert pcm.size / RATE == pytest.approx(10.0, abs=0.12)
    assert pitch(pcm) == pytest.approx(440.0, abs=1.0)
    assert np.sqrt(np.mean(pcm.astype(float) ** 2)) > 1500
    assert (info.truncated, info.damaged) == (False, 0)


@pytest.mark.parametrize("kind", ["telegram voice", "mp3 stereo", "aac in matroska", "telephone wav"])
def test_a_stream_that_cannot_seek_is_read_from_front_to_back(kind: str) -> None:
    pcm, _ = decode(Pipe(made.encode(TONE, *KINDS[kind])))
    assert pcm.size / RATE == pytest.approx(10.0, abs=0.1)


def test_blocks_are_half_a_second_each() -> None:
    sizes = [block.size for block in blocks(io.BytesIO(made.encode(made.tone(2.2))))]
    assert sizes[:-1] == [RATE // 2] * 4


def test_probing_tells_the_headers_and_leaves_the_file_at_its_beginning() -> None:
    file = io.BytesIO(
        made.encode(TONE, video=True, container="mp4", codec="aac", rate=44100, layout="stereo")
    )
    info = probe(file)
    assert (info.codec, info.sample_rate, info.channels, info.has_video) == ("aac", 44100, 2, True)
    assert info.duration == pytest.approx(10.0, abs=0.1)
    assert file.tell() == 0


def test_album_art_is_no_video(tmp_path: Path) -> None:
    made.with_cover(tmp_path / "song.mp3", TONE)
    assert not probe(tmp_path / "song.mp3").has_video
    assert sum(block.size for block in blocks(tmp_path / "song.mp3")) / RATE == pytest.approx(10.0, abs=0.1)


def test_sound_that_begins_late_in_a_video_keeps_its_times() -> None:
    for container, codec in (("mp4", "aac"), ("matroska", "libopus")):
        pcm, info = decode(made.encode(TONE, container, codec, 48000, video=True, start=3.0))
        assert pcm.size / RATE == pytest.approx(13.0, abs=0.1)
        assert np.abs(pcm[: int(2.9 * RATE)]).max() == 0
        assert not info.truncated


def test_rate_and_channels_may_change_midway() -> None:
    two = made.encode(TONE, "adts", "aac", 44100, "stereo") + made.encode(TONE, "adts", "aac", 16000, "mono")
    pcm, _ = decode(two)
    assert pcm.size / RATE == pytest.approx(20.0, abs=0.3)
    assert pitch(pcm[: 9 * RATE]) == pytest.approx(440.0, abs=1.0)
    assert pitch(pcm[-9 * RATE :]) == pytest.approx(440.0, abs=1.0)


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(EmptyFileError):
        decode(b"")
    with pytest.raises(EmptyFileError):
        decode(Pipe(b""))


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is no audio\n" * 100,
        b"x",
        bytes(10_000),
        np.random.default_rng(1).bytes(50_000),
        made.encode(TONE, "mp4", "aac")[:5000],
        made.encode(TONE)[:200],
        b"1\n00:00:00,000 --> 00:00:01,000\nhi\n\n" * 5,
    ],
    ids=["text", "one byte", "zeros", "random", "mp4 without moov", "ogg headers only", "subtitles"],
)
def test_what_is_no_recording_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        decode(data)


def test_a_playlist_cannot_name_other_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret.ogg"
    secret.write_bytes(made.encode(TONE))
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n"
    for playlist in (f"ffconcat version 1.0\nfile {secret}\n", hls):
        (tmp_path / "list").write_text(playlist)
        with pytest.raises(UnreadableFileError):
            list(blocks(tmp_path / "list"))


def test_a_video_without_sound_says_so() -> None:
    with pytest.raises(NoSoundError):
        decode(made.silent_video())


@pytest.mark.parametrize(
    "kind", ["telegram voice", "opus in webm", "mp3 stereo", "telephone wav", "flac", "bare aac", "mu-law"]
)
def test_a_recording_cut_short_is_decoded_as_far_as_it_goes_and_said_to_be_truncated(kind: str) -> None:
    whole = made.encode(TONE, *KINDS[kind])
    pcm, info = decode(whole[: int(len(whole) * 0.6)])
    assert 5.0 < pcm.size / RATE < 6.5
    assert info.truncated


def test_a_recording_shorter_than_its_sender_says_is_truncated() -> None:
    voice = made.encode(TONE)
    assert decode(voice, expected=20.0)[1].truncated
    assert not decode(voice, expected=11.0)[1].truncated


def test_a_hole_in_a_recording_is_damage_and_later_times_stay_true() -> None:
    voice = bytearray(made.encode(TONE))
    half = len(voice) // 2
    voice[half : half + 3000] = bytes(3000)
    pcm, info = decode(bytes(voice))
    assert info.damaged
    assert not info.truncated
    assert pcm.size / RATE == pytest.approx(10.0, abs=0.1)


def test_corrupt_packets_are_skipped() -> None:
    song = bytearray(made.encode(TONE, *KINDS["mp3 stereo"]))
    half = len(song) // 2
    song[half : half + 5000] = np.random.default_rng(2).bytes(5000)
    pcm, info = decode(bytes(song))
    assert info.damaged
    assert pcm.size / RATE > 9.0


def test_a_wav_of_unknown_length_is_not_truncated() -> None:
    streamed = bytearray(made.encode(TONE, *KINDS["telephone wav"]))
    place = streamed.index(b"data") + 4
    streamed[4:8] = streamed[place : place + 4] = b"\xff" * 4
    assert not decode(bytes(streamed))[1].truncated


def test_nothing_of_ffmpeg_reaches_stderr(tmp_path: Path) -> None:
    spoilt = bytearray(made.encode(TONE, *KINDS["mp3 stereo"]))
    spoilt[20_000:25_000] = np.random.default_rng(3).bytes(5000)
    (tmp_path / "a.mp3").write_bytes(spoilt)
    code = (
        "from pathlib import Path; from aisha.speech.audio import blocks;"
        f"list(blocks(Path({str(tmp_path)!r}) / 'a.mp3'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_long_recording_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Ten minutes take 19 MB as samples and twice that while they are joined."""
    path = tmp_path / "half.ogg"
    path.write_bytes(made.encode(made.tone(100), "ogg", "libopus", 16000) * 6)
    code = (
        "import resource; from pathlib import Path; from aisha.speech.audio import blocks;"
        "used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        f"source = Path({str(path)!r}); next(blocks(source)); before = used();"
        "seconds = sum(b.size for b in blocks(source)) / 16000; print(seconds, used() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=dict(os.environ))
    seconds, grown = done.stdout.split()
    assert float(seconds) == pytest.approx(600.0, abs=1.0)
    assert int(grown) < 8_000
