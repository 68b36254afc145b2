"""What every test shares: the model, fetched once."""

from pathlib import Path

import pytest
from tests.models import shared_models


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of models that all tests share, with the English model in it."""
    return shared_models()
