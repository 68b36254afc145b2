"""Recognisers on the real model."""

from pathlib import Path

import pytest

from aisha.models.store import installed
from aisha.speech.media.bounds import Bounds
from aisha.speech.media.reader import MediaReader
from aisha.speech.vosk import VoskRecogniser, load
from aisha.speech.warm_up import warm_up_speech


@pytest.fixture(scope="session")
def english(models_dir: Path) -> Path:
    """The English model's folder."""
    return installed(models_dir)["en"].path


@pytest.fixture(scope="session")
def warm(english: Path) -> VoskRecogniser:
    """A recogniser warmed as a worker's is."""
    recogniser = load(english)
    recogniser.warm(warm_up_speech("en", Path("/nonexistent")))
    return recogniser


@pytest.fixture(scope="session")
def media() -> MediaReader:
    """Reads files through children."""
    return MediaReader(Bounds(256 * 2**20, patience=30)).start()
