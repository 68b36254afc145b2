"""What every test shares: the model, fetched once, and no setting of the person who runs the tests."""

import os
from pathlib import Path

import pytest

from aisha.models.catalogue import language
from aisha.models.install import pull
from aisha.settings import Settings

SHARED_MODELS = Path(__file__).parents[1] / ".cache" / "models"


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of models that all tests share, with the English model in it."""
    folder = Path(os.environ.get("AISHA_MODELS_DIR") or SHARED_MODELS)
    pull(language("en").small, Settings(models_dir=folder), lambda done, total: None)
    return folder
