"""What reading strangers' files costs: the child's milliseconds for a voice, and the memory that hostile files take."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import hostile
from tests.bench.decoding import figure, long_recording
from tests.bench.running import Growth, running, voices
from tests.integration.speech.recordings import encode

from aisha.speech.audio import blocks
from aisha.speech.media.bounds import Bounds, default_memory
from aisha.speech.media.reader import MediaReader, Reading

ROUNDS = 5


def child() -> Iterator[dict[str, Any]]:
    """Measure how much longer a voice takes to be read by a child than in the process itself, by the clock."""
    media = MediaReader(Bounds(default_memory())).start()
    with tempfile.TemporaryDirectory() as folder:
        clips = list(voices(Path(folder)))
        media.probe(clips[0])
        pairs = [(_cost(blocks, voice), _cost(media.blocks, voice)) for _ in range(ROUNDS) for voice in clips]
    for index, name in enumerate(("child", "child_cpu")):
        more = sorted(1000 * (apart[index] - here[index]) for here, apart in pairs)
        here = 1000 * statistics.median(here[index] for here, _ in pairs)
        note = f"{len(pairs)} voices of 5 s, {here:.1f} ms in the process"
        yield figure(f"{name}_p50", statistics.median(more), "ms", note)
        yield figure(f"{name}_p95", more[int(len(more) * 0.95)], "ms", note)


def _cost(read: Callable[[Path], Any], path: Path) -> tuple[float, float]:
    """Return the seconds by the clock that it takes to have all samples, and of processor time that all of it takes."""
    began, begun = time.perf_counter(), time.process_time()
    for _ in (reading := read(path)):
        pass
    took = time.perf_counter() - began
    of_child = reading.usage().seconds if isinstance(reading, Reading) else 0.0
    reading.close()
    return took, time.process_time() - begun + of_child


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
