"""Figures of fairness: how much longer a person waits while another sends more than the machine can do."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from tests.bench.decoding import figure, long_recording
from tests.bench.running import running, voices
from tests.e2e.harness import Telegram, is_final
from tests.e2e.media import write

LECTURES = 200
LECTURE_SECONDS = 600
HOSTILE = 10


def neighbour() -> Iterator[dict[str, Any]]:
    """Measure a person's 5 s voices on an idle machine, and while another has sent lectures and hostile files."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as name, running(Path(name)) as (_, telegram):
        folder = Path(name)
        mine = list(voices(folder))
        half = len(mine) // 2
        chat = telegram.person("Bench")
        idle = _p95(_seconds(telegram, chat, voice) for voice in mine[:half])
        _flood(telegram, folder)
        busy = _p95(_seconds(telegram, chat, voice) for voice in mine[half:])
    yield figure("neighbour_idle_p95", 1000 * idle, "ms", f"{half} voices of 5 s")
    yield figure("neighbour_busy_p95", 1000 * busy, "ms", f"{LECTURES} lectures, {HOSTILE} hostile files")
    yield figure("neighbour_added", 1000 * (busy - idle), "ms", "of the 95th percentile")


def _seconds(telegram: Telegram, chat: int, voice: Path) -> float:
    """Send a voice and return the seconds to its answer; edits before it only change the status."""
    last = telegram.call("GET", "/calls", params={"limit": 1})["last"]
    telegram.send_file(chat, voice)
    arrived = time.time()
    asked = {"chat_id": chat, "method": "editMessageText", "timeout": 60}
    while True:
        for edit in telegram.call("GET", "/calls", params=asked | {"since": last})["calls"]:
            last = edit["sequence"]
            if is_final(edit["params"]["text"]):
                return float(edit["at"] + edit["seconds"] - arrived)


def _p95(times: Iterator[float]) -> float:
    ordered = sorted(times)
    return ordered[int(len(ordered) * 0.95)]


def _flood(telegram: Telegram, folder: Path) -> None:
    chat = telegram.person("Neighbour")
    for path in _hostile(folder):
        telegram.send_file(chat, path, kind="document", mime_type="video/x-matroska")
    lecture = write(folder / "lecture.ogg", long_recording(LECTURE_SECONDS)).read_bytes()
    for number in range(LECTURES):
        path = folder / f"lecture-{number}.ogg"
        path.write_bytes(
            lecture + os.urandom(16)
        )  # another content: equal files are answered from the database
        telegram.send_file(chat, path, kind="audio")


def _hostile(folder: Path) -> Iterator[Path]:
    """Yield small Matroska files whose samples, at one a second, are hours of sound."""
    for number in range(HOSTILE):
        path = folder / f"hostile-{number}.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=1, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.full((1, 5000 + number), number, np.int16), "s16", "mono")
            frame.sample_rate = 1
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        yield path


FIGURES: tuple[Callable[[], Iterator[dict[str, Any]]], ...] = (neighbour,)
