"""Figures of the running whole: how soon it is ready, how soon it answers, what memory a large file takes."""

import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
from tests.bench.decoding import figure, long_recording, model_path, write_video
from tests.e2e.harness import Telegram, Tree, wait_for
from tests.e2e.media import RATE, write

from aisha_embedded.services import erase

REPOSITORY = Path(__file__).parents[2]
VOICES = 60
VOICE_SECONDS = 5
SETTLE_SECONDS, IDLE_SECONDS = 45, 60


def ready() -> Iterator[dict[str, Any]]:
    """Measure `make run` in a fresh clone with empty caches, and again when it has run before."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder:
        clone = Path(folder) / "aisha"
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        caches = {
            "UV_CACHE_DIR": f"{folder}/uv",
            "PIP_NO_CACHE_DIR": "1",
            "XDG_CACHE_HOME": f"{folder}/cache",
        }
        yield figure("ready_first", _make_run(clone, caches), "s", "clone, empty caches")
        later = [_make_run(clone, caches) for _ in range(5)]
        erase(clone / ".local")
        yield figure("ready_later", statistics.median(later), "s", f"median of 5, most {max(later):.1f}")


def _make_run(clone: Path, caches: dict[str, str]) -> float:
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("AISHA_", "VIRTUAL_ENV"))
    } | caches
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", "run"], cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    drain = threading.Thread(target=lambda: process.stderr and process.stderr.read(), daemon=True)
    drain.start()
    line = next((line for line in process.stdout if line.startswith("ready")), None)
    took = time.monotonic() - began
    assert line, f"make run ended with {process.wait()}"
    process.terminate()
    process.wait(60)
    return took


def answer() -> Iterator[dict[str, Any]]:
    """Measure the time from a 5 s voice's arrival to its answer, less the recogniser's own, on an idle machine."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder, running(Path(folder)) as (tree, telegram):
        chat = telegram.person("Bench")
        times = [_one_answer(tree, telegram, chat, voice) for voice in voices(Path(folder))]
    beside = sorted(whole - decoding for whole, decoding in times)
    p95 = beside[int(len(beside) * 0.95)]
    yield figure("answer_overhead_p50", 1000 * statistics.median(beside), "ms", f"{len(times)} voices of 5 s")
    yield figure("answer_overhead_p95", 1000 * p95, "ms", f"{len(times)} voices of 5 s")
    yield figure(
        "answer_whole_p50", 1000 * statistics.median(whole for whole, _ in times), "ms", "with decoding"
    )


def voices(folder: Path) -> Iterator[Path]:
    """Yield different voices of five seconds each."""
    pcm = long_recording(VOICES * VOICE_SECONDS)
    for number in range(VOICES):
        piece = pcm[number * VOICE_SECONDS * RATE : (number + 1) * VOICE_SECONDS * RATE]
        yield write(folder / f"{number}.ogg", piece)


def _one_answer(tree: Tree, telegram: Telegram, chat: int, voice: Path) -> tuple[float, float]:
    """Return the seconds from the update's existence to the answer's, and those that the recogniser took.

    It waits for the edit in one long poll: asking again and again would load the sandbox that is part of the figure.
    """
    last = telegram.call("GET", "/calls", params={"limit": 1})["last"]
    telegram.send_file(chat, voice)
    arrived = time.time()
    asked = {"since": last, "chat_id": chat, "method": "editMessageText", "timeout": 60}
    edit = telegram.call("GET", "/calls", params=asked)["calls"][-1]
    answered = edit["at"] + edit["seconds"]
    with psycopg.connect(tree.setting("AISHA_DATABASE_URL")) as connection:
        row = connection.execute("SELECT decode_seconds FROM jobs ORDER BY id DESC LIMIT 1").fetchone()
    assert row
    return answered - arrived, row[0]


def idle() -> Iterator[dict[str, Any]]:
    """Measure how much of one core all processes of `aisha run` take while nobody writes."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder, running(Path(folder)) as (tree, telegram):
        chat = telegram.person("Bench")
        telegram.answer(chat, telegram.send_file(chat, next(voices(Path(folder)))))
        time.sleep(SETTLE_SECONDS)
        before, began = _cpu_seconds(tree), time.monotonic()
        time.sleep(IDLE_SECONDS)
        after, took = _cpu_seconds(tree), time.monotonic() - began
    shares = {role: 100 * (after[role] - before.get(role, 0.0)) / took for role in after}
    for role, share in sorted(shares.items(), key=lambda item: -item[1]):
        yield figure(f"idle_{role}", share, "%", f"of one core, over {took:.0f} s")
    yield figure("idle_all", sum(shares.values()), "%", f"of one core, over {took:.0f} s")


def _cpu_seconds(tree: Tree) -> dict[str, float]:
    """Return the processor time of all processes so far, by what they are."""
    found: dict[str, float] = {}
    for process in tree.processes():
        times, role = process.cpu_times(), _role(process)
        found[role] = found.get(role, 0.0) + times.user + times.system
    return found


def large_video() -> Iterator[dict[str, Any]]:
    """Measure by how much any process grows while a video of 1.5 GB goes all the way."""
    limit = {"AISHA_MAX_FILE_SIZE": str(2 * 2**30)}
    with (
        tempfile.TemporaryDirectory(prefix="aisha-") as folder,
        running(Path(folder), **limit) as (tree, telegram),
    ):
        telegram.call("PATCH", "/settings", json={"file_limit": 0})
        video = Path(folder) / "large.mp4"
        write_video(video, "mp4")
        chat = telegram.person("Bench")
        with Growth(tree) as growth:
            sent = telegram.send_file(chat, video, kind="video")
            telegram.answer(chat, sent, seconds=600)
        size = video.stat().st_size / 2**30
    for name, most in growth.most().items():
        yield figure(f"video_growth_{name}", most / 2**20, "MiB", f"{size:.2f} GiB")


class Growth:
    """Watches the resident memory of each process of a tree, ten times a second, against what it was at first."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._first: dict[int, int] = {}
        self._most: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Growth":
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def most(self) -> dict[str, int]:
        """Return the maximum growth of a process of each name, in bytes."""
        return dict(sorted(self._most.items(), key=lambda item: -item[1]))

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self._look()

    def _look(self) -> None:
        for process in self._tree.processes():
            try:
                resident, name = process.memory_info().rss, _role(process)
            except psutil.NoSuchProcess:
                continue
            grown = resident - self._first.setdefault(process.pid, resident)
            self._most[name] = max(self._most.get(name, 0), grown)


def _role(process: psutil.Process) -> str:
    command = process.cmdline()
    known = ("postgres", "valkey", "weed", "sandbox", "bot", "worker", "media")
    return next((role for role in known if any(role in part for part in command[:5])), "run")


class running:  # noqa: N801 - reads as a word of the with statement
    """A tree of its own, ready and warm."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._tree = Tree(folder / "data", model_path().parent, **settings)

    def __enter__(self) -> tuple[Tree, Telegram]:
        self._tree.start()
        wait_for(lambda: "warmed up" in self._tree.log.read_text(), 60, "the warm-up")
        time.sleep(2)
        return self._tree, Telegram(self._tree.url)

    def __exit__(self, *_: object) -> None:
        self._tree.stop()
        erase(self._tree.data_dir)


FIGURES: tuple[Callable[[], Iterator[dict[str, Any]]], ...] = (ready, answer, idle, large_video)
