"""What reading strangers' files costs: the child's milliseconds for a voice, and the memory that hostile files take."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import hostile
from tests.bench.decoding import figure, long_recording
from tests.bench.running import Growth, running, voices_of_five_seconds
from tests.integration.speech.recordings import encode

from aisha.speech.audio import blocks
from aisha.speech.media.bounds import Bounds, default_memory
from aisha.speech.media.reader import MediaReader

ROUNDS = 5


def child() -> Iterator[dict[str, Any]]:
    """Measure how much longer a voice takes to be read by a child than in the process itself, by the clock."""
    media = MediaReader(Bounds(default_memory())).start()
    with tempfile.TemporaryDirectory() as folder:
        voices = list(voices_of_five_seconds(Path(folder)))
        media.probe(voices[0])
        pairs = [
            (_seconds(blocks, voice), _seconds(media.blocks, voice))
            for _ in range(ROUNDS)
            for voice in voices
        ]
    more = sorted(1000 * (apart - here) for here, apart in pairs)
    note = f"{len(pairs)} voices of 5 s, {1000 * statistics.median(here for here, _ in pairs):.1f} ms in the process"
    yield figure("child_p50", statistics.median(more), "ms", note)
    yield figure("child_p95", more[int(len(more) * 0.95)], "ms", note)


def _seconds(read: Callable[[Path], Any], path: Path) -> float:
    began = time.perf_counter()
    for _ in (reading := read(path)):
        pass
    reading.close()
    return time.perf_counter() - began


def hostile_memory() -> Iterator[dict[str, Any]]:
    """Measure by how much the worker and its children grow while hostile files are sent, and what a child may take."""
    speech = long_recording(60)
    files = {
        "slow.mka": hostile.one_hertz(),
        "slower.mka": hostile.one_hertz(1_000_000),
        "covers.mka": hostile.pictures(speech),
        "packet.mka": hostile.one_packet(2_400),
        "jumping.mov": hostile.jumping(speech),
        "voice.ogg": encode(speech),
    }
    limit = default_memory() / 2**20
    yield figure("hostile_limit", limit, "MiB", "of one child, beside the 32 MiB that it begins with")
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder, running(Path(folder)) as (tree, telegram):
        people = []
        with Growth(tree) as growth:
            for name, content in files.items():
                (path := Path(folder) / name).write_bytes(content)
                people.append((chat := telegram.person(name), telegram.send_file(chat, path, "document")))
            for at in people:
                telegram.answer(*at, seconds=300)
    for role in ("worker", "media"):
        yield figure(f"hostile_growth_{role}", growth.most().get(role, 0) / 2**20, "MiB", ", ".join(files))


FIGURES = (child, hostile_memory)
