"""`aisha transcribe`: files in, text out, whatever is wrong with one of them."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.integration.speech import recordings as made
from tests.speech import cards, librivox, prompts

from aisha.errors import AudioError
from aisha.speech import decoders as module
from aisha.speech.allocator import find_fast_allocator
from aisha.speech.audio import blocks
from aisha.speech.decoders import Decoders, Task
from aisha.speech.vosk import VoskRecogniser

AISHA = (sys.executable, "-m", "aisha", "transcribe")
LONG, SHORT, OTHER = librivox()[0].path, cards()[0].path, cards()[2].path


@pytest.fixture(autouse=True)
def environment(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISHA_MODELS_DIR", str(models_dir))


def run(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*AISHA, *map(str, arguments)], input=data, capture_output=True, timeout=120)


def pcm(path: Path) -> np.ndarray:
    return np.concatenate(list(blocks(path)))


def test_one_file_is_its_text_and_nothing_else() -> None:
    done = run(SHORT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ten of clubs\n", b"")


def test_several_files_come_in_order_under_headers_and_bad_ones_do_not_stop_them(tmp_path: Path) -> None:
    (tmp_path / "text.ogg").write_text("no audio")
    (tmp_path / "empty.ogg").touch()
    (tmp_path / "video.mp4").write_bytes(made.silent_video())
    bad = [tmp_path / name for name in ("text.ogg", "empty.ogg", "video.mp4", "missing.ogg")]
    done = run(LONG, *bad, SHORT)
    assert done.returncode == 1
    headers = [line for line in done.stdout.decode().splitlines() if line.startswith("==>")]
    assert headers == [f"==> {LONG} <==", f"==> {SHORT} <=="]
    complaints = done.stderr.decode().splitlines()
    assert [line.split(": ")[0] for line in complaints] == [str(path) for path in bad]
    assert complaints[3].endswith("No such file or directory")


def test_standard_input_is_a_file_too() -> None:
    assert run("-", data=SHORT.read_bytes()).stdout == b"ten of clubs\n"
    movie = made.encode(pcm(SHORT), "mp4", "aac", 44100, video=True)
    assert b"clubs" in run("-", data=movie).stdout


def test_what_can_be_read_only_once_is_copied_first(tmp_path: Path) -> None:
    """An MP4 with its index at the end is read backwards; a pipe that is named again is not read again."""
    movie = made.encode(pcm(SHORT), "mp4", "aac", 44100)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "movie").write_bytes(movie)
    done = subprocess.run(
        ["bash", "-c", f"cat {tmp_path}/movie > {fifo} & exec {' '.join(AISHA)} /dev/stdin {fifo} {fifo} -"],
        input=movie,
        capture_output=True,
        timeout=120,
    )
    assert (done.stdout.count(b"of clubs\n"), done.returncode) == (4, 0), done.stderr


def test_a_pipe_is_read_once_on_a_terminal_too(tmp_path: Path) -> None:
    movie = tmp_path / "movie"
    movie.write_bytes(made.encode(pcm(SHORT), "mp4", "aac", 44100))
    ours, theirs = pty.openpty()
    command = f"cat {movie} | {' '.join(AISHA)} /dev/stdin"
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=theirs, timeout=120)
    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stdout) == (0, b"ten of clubs\n")


def test_json_names_each_file_and_has_a_line_for_one_that_failed(tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    Path(strange).write_bytes(SHORT.read_bytes())
    (tmp_path / "bad.wav").write_text("no audio")
    done = run(strange, tmp_path / "bad.wav", OTHER, "--format", "json")
    first, bad, last = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert (first["file"], first["text"], first["outcome"]) == (strange, "ten of clubs", "speech")
    assert (bad["file"], done.returncode) == (str(tmp_path / "bad.wav"), 1)
    assert "not audio" in bad["error"]
    assert (last["file"], last["text"]) == (str(OTHER), "seven of clubs")


def test_names_are_written_as_the_bytes_that_they_are(tmp_path: Path) -> None:
    strange = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    Path(os.fsdecode(strange)).write_bytes(SHORT.read_bytes())
    done = run(os.fsdecode(strange), tmp_path / os.fsdecode(b"none\xe9"))
    assert done.stdout == b"==> " + strange + b" <==\nten of clubs\n"
    assert done.stderr == os.fsencode(tmp_path) + b"/none\xe9: No such file or directory\n"


def closed(redirection: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """Run the command with a descriptor closed, as a shell does by `2>&-`."""
    words = shlex.join([*AISHA, *map(str, arguments)])
    return subprocess.run(["bash", "-c", f"{words} {redirection}"], capture_output=True, timeout=120)


def test_without_stderr_the_text_still_comes() -> None:
    done = closed("2>&-", SHORT, "/nowhere")
    assert (done.returncode, done.stdout) == (1, f"==> {SHORT} <==\nten of clubs\n".encode())


def test_without_stdout_results_are_written_to_a_folder_and_only_there(tmp_path: Path) -> None:
    done = closed(">&-", SHORT, "--output-dir", tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "001.txt").read_text() == "ten of clubs\n"
    done = closed(">&-", SHORT)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"--output-dir" in done.stderr


def test_without_any_of_the_three_results_are_written_to_a_folder(tmp_path: Path) -> None:
    done = closed("<&- >&- 2>&-", "-", SHORT, "--output-dir", tmp_path)
    assert done.returncode == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("001.txt", "ten of clubs\n")]


def test_a_full_disk_behind_stdout_is_a_sentence() -> None:
    done = closed("> /dev/full", SHORT)
    assert (done.returncode, done.stderr) == (
        1,
        f"{SHORT}: cannot write the result: No space left on device\n".encode(),
    )


def test_other_tracks_are_mentioned_and_the_one_with_sound_is_heard(tmp_path: Path) -> None:
    silent = np.zeros_like(pcm(SHORT))
    (tmp_path / "game.mkv").write_bytes(made.tracks(silent, pcm(SHORT)))
    done = run(tmp_path / "game.mkv")
    assert done.stdout == b"ten of clubs\n"
    assert b"audio track 2 of 2" in done.stderr


def test_a_wav_without_samples_is_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(made.encode(pcm(SHORT), "wav", "pcm_s16le").partition(b"data")[0])
    with (tmp_path / "a.wav").open("ab") as file:
        file.write(b"data\0\0\0\0")
    done = run(tmp_path / "a.wav")
    assert done.returncode == 1
    assert b"the file is empty" in done.stderr


def test_subtitles_of_several_files_go_to_a_folder(tmp_path: Path) -> None:
    assert run(SHORT, OTHER, "--format", "srt").returncode == 2
    assert run(SHORT, OTHER, "--format", "srt", "--output-dir", tmp_path / "out").returncode == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["001.srt", "003.srt"]
    assert (tmp_path / "out" / "001.srt").read_text().startswith("1\n00:00:00,")


def test_two_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder, source in (("a", SHORT), ("b", OTHER)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "voice.wav").write_bytes(source.read_bytes())
    longest = tmp_path / ("x" * 251 + ".wav")
    longest.write_bytes(SHORT.read_bytes())
    run(tmp_path / "a" / "voice.wav", tmp_path / "b" / "voice.wav", longest, "--output-dir", tmp_path / "out")
    results = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert results == {
        "voice.wav.txt": "ten of clubs\n",
        "voice.wav.2.txt": "seven of clubs\n",
        "x" * 251 + ".txt": "ten of clubs\n",
    }


def test_a_recording_that_ends_early_is_transcribed_and_said_to(tmp_path: Path) -> None:
    voice = made.encode(pcm(LONG))
    (tmp_path / "cut.ogg").write_bytes(voice[: int(len(voice) * 0.6)])
    done = run(tmp_path / "cut.ogg")
    assert done.returncode == 0
    assert b"leisure" in done.stdout
    assert b"ends early, at 00:0" in done.stderr


def test_music_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "tone.ogg").write_bytes(made.encode(made.tone(3)))
    done = run(tmp_path / "tone.ogg")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"no speech" in done.stderr


def test_a_missing_model_says_how_to_get_it() -> None:
    done = run(SHORT, "--language", "tr")
    assert done.returncode == 1
    assert b"aisha models pull tr" in done.stderr


def test_a_reader_that_leaves_early_is_no_error() -> None:
    process = subprocess.Popen([*AISHA, SHORT, OTHER, LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141


def test_an_interrupt_ends_every_process_at_once(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(made.encode(np.tile(pcm(LONG), 40), "wav", "pcm_s16le"))
    process = subprocess.Popen([*AISHA, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    parent = psutil.Process(process.pid)
    while not (children := parent.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120) == (b"", b"")
    assert process.returncode == 130
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_long_speech_cut_among_processes_reads_like_whole(tmp_path: Path) -> None:
    speech = np.concatenate([pcm(clip.path) for clip in prompts()[:22]])
    (tmp_path / "long.wav").write_bytes(made.encode(speech, "wav", "pcm_s16le"))
    assert speech.size / 16000 > 60
    two = run(tmp_path / "long.wav", "--jobs", 2).stdout.decode().split()
    one = run(tmp_path / "long.wav", "--jobs", 1).stdout.decode().split()
    assert abs(len(one) - len(two)) <= len(one) * 0.03


def test_results_come_for_every_task(warm: VoskRecogniser) -> None:
    with Decoders(warm, 2) as decoders:
        results = list(decoders.decode(Task(number, pcm(SHORT)) for number in range(6)))
    assert sorted(result.key for result in results) == list(range(6))
    assert {result.transcript and result.transcript.text() for result in results} == {"ten of clubs"}


def test_a_process_is_replaced_after_its_share_of_tasks(
    warm: VoskRecogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASKS", 2)
    with Decoders(warm, 1) as decoders:
        pids = []
        for _ in decoders.decode(Task(number, pcm(SHORT)) for number in range(5)):
            pids += [decoder.pid for decoder in decoders._decoders]
    assert len(set(pids)) == 3


class Fragile(VoskRecogniser):
    """Crashes on silence: always on a second of it, on half a second only until a file exists."""

    flag: Path

    def decode(self, blocks):  # noqa: ANN001, ANN201
        (samples,) = blocks
        if not samples.any() and (samples.size == 16000 or not self.flag.exists()):
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().decode([samples])


@pytest.fixture
def fragile(warm: VoskRecogniser, tmp_path: Path) -> Fragile:
    copy = Fragile.__new__(Fragile)
    copy.__dict__.update(warm.__dict__, flag=tmp_path / "died")
    return copy


def test_a_task_whose_process_dies_is_tried_again(fragile: Fragile) -> None:
    with Decoders(fragile, 2) as decoders:
        results = list(decoders.decode([Task("a", np.zeros(8000, np.int16)), Task("b", pcm(SHORT))]))
    assert fragile.flag.exists()
    assert all(result.transcript for result in results)


def test_a_task_that_kills_every_process_fails_alone(fragile: Fragile) -> None:
    tasks = [Task("bad", np.zeros(16000, np.int16)), *(Task(number, pcm(SHORT)) for number in range(3))]
    with Decoders(fragile, 2) as decoders:
        results = {result.key: result for result in decoders.decode(tasks)}
    assert isinstance(results["bad"].error, AudioError)
    assert "crashed" in str(results["bad"].error)
    assert all(results[number].transcript for number in range(3))


@pytest.mark.skipif(find_fast_allocator() is None, reason="no faster allocator on this machine")
def test_the_faster_allocator_is_in_this_process_and_not_in_its_children() -> None:
    code = (
        "import os, subprocess; from aisha.speech.allocator import prefer_fast_allocator as prefer;"
        "prefer(); prefer(); maps = open('/proc/self/maps').read();"
        "names = ('LD_PRELOAD', 'AISHA_PRELOADED');"
        "print('mimalloc' in maps or 'jemalloc' in maps, any(name in os.environ for name in names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"True False\n"
