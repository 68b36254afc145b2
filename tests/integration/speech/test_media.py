"""Strangers' files are read by a child of their own: the same audio, and nothing but an error for a hostile one."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests import hostile
from tests.integration.speech import recordings as made
from tests.integration.speech.test_audio import KINDS

from aisha.errors import (
    AudioError,
    DecoderKilledError,
    EmptyFileError,
    NoSoundError,
    ServiceError,
    UnreadableFileError,
)
from aisha.speech import audio
from aisha.speech.level import RATE
from aisha.speech.media import reader
from aisha.speech.media.bounds import Bounds
from aisha.speech.media.reader import MediaReader, Reading

MIB = 2**20
TONE = made.tone(3)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of whose samples a pipe holds only a part."""
    path = tmp_path_factory.mktemp("long") / "long.ogg"
    path.write_bytes(made.encode(made.tone(100), "ogg", "libopus", 16_000) * 12)
    return path


@pytest.fixture
def own() -> Iterator[MediaReader]:
    """A reader whose server a test may kill."""
    yield (media := MediaReader(Bounds(64 * MIB, patience=60)).start())
    server_of(media).kill()


def server_of(media: MediaReader) -> psutil.Process:
    return psutil.Process(media._server)


def child_of(media: MediaReader) -> psutil.Process:
    [child] = server_of(media).children()
    return child


def spooled(data: bytes) -> Path:
    """Return a path for bytes; its file has no name and lives as long as the test's process."""
    file = os.memfd_create("recording")
    os.write(file, data)
    return Path(f"/proc/self/fd/{file}")


def read(media: MediaReader, data: bytes) -> tuple[np.ndarray, Reading]:
    with media.blocks(spooled(data)) as reading:
        return np.concatenate([np.zeros(0, np.int16), *reading]), reading


@pytest.mark.parametrize("kind", KINDS)
def test_the_child_hears_what_this_process_would_hear_in(kind: str, media: MediaReader) -> None:
    data = made.encode(TONE, *KINDS[kind])
    pcm, reading = read(media, data)
    here = audio.blocks(spooled(data))
    assert np.array_equal(pcm, np.concatenate(list(here)))
    assert reading.info == here.info


def test_probing_tells_what_this_process_would_tell(media: MediaReader) -> None:
    path = spooled(made.encode(TONE, "mp4", "aac", 44100, video=True))
    assert media.probe(path) == audio.probe(path)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EmptyFileError),
        (b"no audio " * 100, UnreadableFileError),
        (made.silent_video(), NoSoundError),
        (hostile.one_hertz(), UnreadableFileError),
    ],
    ids=["empty", "text", "video", "one sample a second"],
)
def test_a_bad_file_raises_the_error_that_this_process_would_raise(
    data: bytes, error: type[AudioError], media: MediaReader
) -> None:
    with pytest.raises(AudioError) as raised:
        read(media, data)
    assert type(raised.value) is error


def test_attached_pictures_are_not_looked_at(media: MediaReader) -> None:
    with media.blocks(spooled(hostile.pictures(TONE))) as reading:
        assert sum(block.size for block in reading) / RATE == pytest.approx(3, abs=0.1)
        assert reading.usage().memory < 100 * MIB


def test_a_recording_in_one_packet_is_resampled_piece_by_piece(media: MediaReader) -> None:
    with media.blocks(spooled(hostile.one_packet(600))) as reading:
        assert sum(block.size for block in reading) / RATE == pytest.approx(600, abs=0.1)
        assert reading.usage().memory < 100 * MIB


def test_a_file_that_lies_about_in_pieces_is_heard_in_order(media: MediaReader) -> None:
    rising = (np.arange(10 * RATE) // 10).astype(np.int16)
    pcm, _ = read(media, hostile.jumping(rising))
    assert np.abs(pcm - rising).max() <= 1


def test_a_recording_that_takes_more_memory_than_allowed_is_unreadable() -> None:
    small = MediaReader(Bounds(16 * MIB)).start()
    with pytest.raises(UnreadableFileError):
        read(small, hostile.one_packet(5_000))


def test_a_recording_that_takes_more_time_than_allowed_is_unreadable(long_file: Path) -> None:
    reading = MediaReader(Bounds(256 * MIB, seconds=1)).start().blocks(long_file)
    with pytest.raises(UnreadableFileError, match="too long"):
        list(reading)


def test_neither_the_server_nor_its_child_knows_or_holds_what_its_starter_does(
    long_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISHA_S3_SECRET_KEY", "hidden")
    own = MediaReader(Bounds(64 * MIB)).start()
    with own.blocks(long_file) as reading:
        next(reading)
        child = child_of(own)
        for process in (server_of(own), child):
            assert process.environ().keys() <= {"OPENBLAS_NUM_THREADS", "LC_CTYPE"}
        held = {str(path.readlink()) for path in Path(f"/proc/{child.pid}/fd").iterdir()}
    assert len([one for one in held if one.startswith("socket:")]) == 1
    assert len([one for one in held if one.startswith("pipe:")]) == 1
    assert {one for one in held if one.startswith("/")} == {os.devnull, str(long_file)}


def test_a_child_that_crashes_makes_its_file_unreadable(own: MediaReader, long_file: Path) -> None:
    with own.blocks(long_file) as reading:
        os.kill(child_of(own).pid, signal.SIGSEGV)
        with pytest.raises(UnreadableFileError, match="crashed"):
            list(reading)


def test_that_a_child_was_killed_is_told_apart(own: MediaReader, long_file: Path) -> None:
    with own.blocks(long_file) as reading:
        os.kill(child_of(own).pid, signal.SIGKILL)
        with pytest.raises(DecoderKilledError):
            list(reading)


def test_a_child_from_which_nothing_comes_is_given_up_and_ends(own: MediaReader, long_file: Path) -> None:
    with own.blocks(long_file) as reading:
        child = child_of(own)
        os.kill(child.pid, signal.SIGSTOP)
        reading._bounds = Bounds(64 * MIB, patience=1)
        with pytest.raises(UnreadableFileError, match="for 1 s"):
            list(reading)
    child.wait(10)


def test_a_child_ends_when_its_reader_has_enough_though_a_fork_of_that_lives_on(
    own: MediaReader, long_file: Path
) -> None:
    with own.blocks(long_file) as reading:
        next(reading)
        child = child_of(own)
        if not (fork := os.fork()):
            time.sleep(60)
            os._exit(0)
    child.wait(10)
    os.kill(fork, signal.SIGKILL)
    os.waitpid(fork, 0)


def test_when_the_server_is_killed_its_children_end_and_another_takes_its_place(
    own: MediaReader, long_file: Path
) -> None:
    with own.blocks(long_file) as reading:
        server, child = server_of(own), child_of(own)
        server.kill()
        with pytest.raises(DecoderKilledError):
            list(reading)
        child.wait(10)
    assert own.probe(long_file).codec
    assert server_of(own).pid != server.pid


def test_a_host_on_which_no_recording_can_be_read_is_told_so(
    own: MediaReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.check()
    monkeypatch.setattr(reader, "RECORDED", Path("/dev/null"))
    with pytest.raises(ServiceError, match="does not work"):
        own.check()


def test_the_server_ends_with_the_process_that_started_it(own: MediaReader) -> None:
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.write(writing, str(MediaReader(Bounds(64 * MIB)).start()._server).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    server = int(os.read(reading, 20))
    until = time.monotonic() + 10
    while psutil.pid_exists(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE


def test_processes_forked_from_the_starting_one_read_through_the_same_server(own: MediaReader) -> None:
    path = spooled(made.encode(TONE))
    if not (pid := os.fork()):
        status = 1
        try:
            status = 0 if sum(block.size for block in own.blocks(path)) > 2 * RATE else 1
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(server_of(own).children()) == 0
