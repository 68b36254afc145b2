"""What decoding costs, in CPU time: other processes on the machine make wall time unreliable."""

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from tests.models import shared_models
from tests.speech import librivox, prompts, voices, word_error_rate

from aisha.database.timing import pack
from aisha.models.store import installed
from aisha.speech.allocator import find_fast_allocator
from aisha.speech.audio import blocks
from aisha.speech.vosk import BLOCK, load
from aisha.speech.warm_up import warm_up_speech

LONG = 600.0
"""Seconds of the long recording."""


def model_path() -> Path:
    """Return the English model, in the folder that the tests share."""
    return installed(shared_models())["en"].path


def pcm(path: Path) -> np.ndarray:
    """Return a whole recording as samples."""
    return np.concatenate(list(blocks(path)))


class Server:
    """A process that decodes clips on request, each in a fork of its own, and reports CPU seconds and text."""

    def __init__(self, kind: str, preload: Path | None) -> None:
        environment = {**os.environ, "AISHA_MODELS_DIR": str(model_path().parent)}
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        command = [sys.executable, "-m", "tests.bench.decoding", "--serve", kind]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, clip: str) -> dict[str, Any]:
        """Decode a clip by its path."""
        assert self._process.stdin
        assert self._process.stdout
        print(clip, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def serve(kind: str) -> None:
    """Decode each clip named on stdin in a fork: `warm` as the worker does, `fresh` with a bare
    recogniser.
    """
    decode = _warm() if kind == "warm" else _fresh()
    gc.freeze()
    for line in sys.stdin:
        samples = long_recording(LONG) if line.strip() == "long" else pcm(Path(line.strip()))
        text, seconds = _in_fork(lambda samples=samples: decode(samples))
        print(json.dumps({"text": text, "cpu": seconds}), flush=True)


def _warm() -> Callable[[np.ndarray], str]:
    recogniser = load(model_path())
    recogniser.warm(warm_up_speech("en", Path("/nonexistent")))
    return lambda samples: " ".join(word.text for word in recogniser.decode([samples]).words)


def _fresh() -> Callable[[np.ndarray], str]:
    import vosk

    vosk.SetLogLevel(-1)
    model = vosk.Model(model_path=str(model_path()))

    def decode(samples: np.ndarray) -> str:
        recogniser = vosk.KaldiRecognizer(model, 16000)
        recogniser.SetWords(True)
        pieces = (samples[begin : begin + BLOCK] for begin in range(0, samples.size, BLOCK))
        texts = [
            json.loads(recogniser.Result())["text"]
            for piece in pieces
            if recogniser.AcceptWaveform(piece.tobytes())
        ]
        texts.append(json.loads(recogniser.FinalResult())["text"])
        return " ".join(filter(None, texts))

    return decode


def _in_fork(work: Callable[[], str]) -> tuple[str, float]:
    """Run in a forked child; return what it says and its CPU seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, work().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    _, _, usage = os.wait4(pid, 0)
    return text, usage.ru_utime + usage.ru_stime


def long_recording(seconds: float) -> np.ndarray:
    """Return recorded speech of other voices than the warm-up's, joined with half seconds of silence."""
    pieces: list[np.ndarray] = []
    size = 0
    for clip in voices(1.0, 60.0):
        pieces += [pcm(clip.path), np.zeros(8000, np.int16)]
        size += pieces[-2].size + 8000
        if size >= seconds * 16000:
            break
    return np.concatenate(pieces)[: int(seconds * 16000)]


def short_voices() -> Iterator[dict[str, Any]]:
    """Measure a warm fork on the fast allocator against a bare fresh recogniser on voices of 2 to 10 s."""
    clips = [str(clip.path) for clip in voices()]
    fresh, warm = _measure(clips)
    ratios = [w["cpu"] / f["cpu"] for w, f in zip(warm, fresh, strict=True)]
    total = sum(w["cpu"] for w in warm) / sum(f["cpu"] for f in fresh)
    same = sum(w["text"] == f["text"] for w, f in zip(warm, fresh, strict=True))
    allocator = getattr(find_fast_allocator(), "name", "glibc")
    note = f"{len(clips)} clips of 2 to 10 s, {allocator}, {same} of {len(clips)} texts identical"
    yield figure("decode_warm_fork_cpu_median", median(ratios), "ratio to a fresh recogniser", note)
    yield figure("decode_warm_fork_cpu_total", total, "ratio to a fresh recogniser", note)


def long_file() -> Iterator[dict[str, Any]]:
    """Measure the warm fork against a fresh recogniser on ten minutes in one piece."""
    (fresh,), (warm,) = _measure(["long"])
    yield figure("decode_long_cpu", warm["cpu"] / fresh["cpu"], "ratio to a fresh recogniser", "600 s")


def _measure(clips: list[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Decode each clip both ways, in turn, so that a busy machine hits both."""
    fresh, warm = Server("fresh", None), Server("warm", find_fast_allocator())
    try:
        pairs = [(fresh.ask(clip), warm.ask(clip)) for clip in clips]
    finally:
        fresh.close()
        warm.close()
    return [one for one, _ in pairs], [other for _, other in pairs]


def two_jobs() -> Iterator[dict[str, Any]]:
    """Measure `aisha transcribe --jobs 2` against one job on ten minutes, end to end, by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(long_recording(LONG).tobytes())
        one, two = _transcribing(path, 1), _transcribing(path, 2)
    yield figure("transcribe_two_jobs_wall", two / one, "ratio to one job", f"600 s in {two:.1f} s")


def _transcribing(path: Path, jobs: int) -> float:
    """Return the seconds that the command takes."""
    environment = {**os.environ, "AISHA_MODELS_DIR": str(model_path().parent)}
    command = [sys.executable, "-m", "aisha", "transcribe", str(path), "--jobs", str(jobs)]
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.monotonic() - begin


def words_wrong() -> Iterator[dict[str, Any]]:
    """Measure the word error rate of the small English model on three kinds of recordings."""
    recogniser = load(model_path())
    kinds = {"read_book": librivox(), "prompts_16_khz": prompts("g722"), "prompts_8_khz": prompts("wav")}
    for kind, clips in kinds.items():
        said = [recogniser.decode(blocks(clip.path)).text() for clip in clips]
        rate = word_error_rate([clip.text for clip in clips], said)
        yield figure(f"word_error_rate_{kind}", rate, "ratio", f"{len(clips)} recordings")


def kept_size() -> Iterator[dict[str, Any]]:
    """Measure how many bytes are kept of real transcripts for each byte of text, and how many the JSON before took."""
    recogniser = load(model_path())
    short = [recogniser.decode(blocks(clip.path)) for clip in voices()[:20]]
    for name, said in (("short", short), ("long", [recogniser.decode([long_recording(120)])])):
        texts, words = [one.text() for one in said], [one.to_json()["words"] for one in said]
        size = sum(len(text.encode()) for text in texts)
        times = sum(len(pack(text, each) or b"") for text, each in zip(texts, words, strict=True))
        before = sum(len(json.dumps(each, ensure_ascii=False).encode()) for each in words)
        yield figure(f"kept_{name}", (size + times) / size, "bytes", f"with a byte of text, of {size}")
        yield figure(f"kept_{name}_json", (size + before) / size, "bytes", "as JSON")


def video_memory() -> Iterator[dict[str, Any]]:
    """Measure how much memory grows while the sound of a 1.5 GB video is decoded."""
    with tempfile.TemporaryDirectory() as folder:
        for container in ("mp4", "matroska"):
            path = Path(folder) / f"video.{container}"
            write_video(path, container)
            command = [sys.executable, "-m", "tests.bench.decoding", "--memory", str(path)]
            grown, seconds = subprocess.run(
                command, check=True, capture_output=True, text=True
            ).stdout.split()
            note = f"{path.stat().st_size / 1e9:.2f} GB, {float(seconds):.0f} s of sound"
            yield figure(f"decode_video_{container}_memory", float(grown), "MiB", note)
            path.unlink()


def write_video(path: Path, container: str) -> None:
    """Write five minutes of sound among pictures of a megabyte each."""
    with av.open(str(path), "w", format=container) as output:
        sound = output.add_stream("aac", rate=16000, layout="mono")
        pictures = output.add_stream("mjpeg", rate=5)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuvj420p"
        gray = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), "yuv420p")
        (first,) = pictures.encode(gray.reformat(format="yuvj420p"))
        content = bytes(first) + bytes(1024 * 1024)
        for number in range(300 * 5):
            packet = av.Packet(content)
            packet.stream, packet.time_base = pictures, Fraction(1, 5)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 3200), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 16000, number * 3200
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))


def memory(path: Path) -> None:
    """Print by how many MiB decoding a file raises this process's peak, and the seconds decoded."""
    list(blocks(librivox()[0].path))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = sum(block.size for block in blocks(path)) / 16000
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, seconds)


def figure(name: str, value: float, unit: str, note: str = "") -> dict[str, Any]:
    """Return one figure as it is printed."""
    return {"figure": name, "value": round(value, 4), "unit": unit, "note": note, "command": "make bench"}


FIGURES = (short_voices, long_file, two_jobs, words_wrong, kept_size, video_memory)


def main() -> None:
    """Print every figure of decoding, or serve a measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", choices=["warm", "fresh"])
    parser.add_argument("--memory", type=Path)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return
    if arguments.memory:
        memory(arguments.memory)
        return
    for measure in FIGURES:
        for one in measure():
            print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
