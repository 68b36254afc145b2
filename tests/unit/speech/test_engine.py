"""Any engine will do: the rest knows no more of it than its interface."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aisha.errors import ModelError
from aisha.models.store import MARKER, InstalledModel, write_marker
from aisha.settings import Settings
from aisha.speech.decoders import Decoders, Task
from aisha.speech.engine import Engine, Recogniser
from aisha.speech.media.bounds import Bounds
from aisha.speech.media.reader import MediaReader
from aisha.speech.transcript import Transcript, Word
from aisha.work import recognisers


class Counting:
    """A recogniser that hears how many samples there are."""

    def __init__(self, path: Path) -> None:
        if not (path / "counts").exists():
            raise ModelError("it cannot count")

    def warm(self, blocks: Iterable[NDArray[np.int16]]) -> float:
        return sum(block.size for block in blocks) / 16_000

    def decode(self, blocks: Iterable[NDArray[np.int16]]) -> Transcript:
        samples = sum(block.size for block in blocks)
        return Transcript((Word(str(samples), 0.0, 1.0, 1.0),), samples / 16_000)


class CountingEngine:
    def load(self, model_path: Path) -> Recogniser:
        return Counting(model_path)


def install(folder: Path, name: str, language: str) -> Path:
    """Put a model there that its engine can load."""
    path = folder / name
    path.mkdir()
    (path / "counts").touch()
    write_marker(InstalledModel(name, language, "small", path))
    return path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> recognisers.Recognisers:
    engine: Engine = CountingEngine()
    monkeypatch.setattr(recognisers, "ENGINE", engine)
    return recognisers.Recognisers(Settings(models_dir=tmp_path), MediaReader(Bounds(memory=1)))


def test_decoders_fork_any_recogniser(tmp_path: Path) -> None:
    recogniser = Counting(install(tmp_path, "one", "en"))
    with Decoders(recogniser, 2) as decoders:
        results = list(decoders.decode(Task(size, np.zeros(size, np.int16)) for size in (1, 20, 300)))
    assert {r.key: r.transcript and r.transcript.text() for r in results} == {1: "1", 20: "20", 300: "300"}


def test_a_host_loads_and_warms_whatever_its_engine_is(host: recognisers.Recognisers, tmp_path: Path) -> None:
    install(tmp_path, "one", "en")
    host.load()
    host.warm_up()
    assert host.languages == ["en"]
    assert host.by_language["en"].decode([np.zeros(7, np.int16)]).text() == "7"


def test_a_host_follows_what_is_installed_and_removed(host: recognisers.Recognisers, tmp_path: Path) -> None:
    install(tmp_path, "one", "en")
    assert host.follow()
    kept = host.by_language["en"]
    (install(tmp_path, "two", "de") / "counts").unlink()
    install(tmp_path, "three", "fr")
    assert host.follow()
    assert host.languages == ["en", "fr"]
    assert host.by_language["en"] is kept
    assert not host.follow()
    (tmp_path / "one" / MARKER).unlink()
    assert host.follow()
    assert host.languages == ["fr"]


def test_a_host_without_a_model_says_how_to_get_one(host: recognisers.Recognisers) -> None:
    with pytest.raises(ModelError, match="aisha models pull en"):
        host.load()
