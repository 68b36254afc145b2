"""Recognizers on the real model."""

from pathlib import Path

import pytest

from aisha.models.store import installed
from aisha.speech.recognizer import WarmRecognizer
from aisha.speech.warm_up import warm_up_speech


@pytest.fixture(scope="session")
def english(models_dir: Path) -> Path:
    """The English model's folder."""
    return installed(models_dir)["en"].path


@pytest.fixture(scope="session")
def warm(english: Path) -> WarmRecognizer:
    """A recognizer warmed as a worker's is."""
    recognizer = WarmRecognizer(english)
    recognizer.warm(warm_up_speech("en", Path("/nonexistent")))
    return recognizer
