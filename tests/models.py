"""The models that tests and benchmarks share, fetched once."""

import os
from pathlib import Path

from aisha.models.catalogue import language
from aisha.models.install import pull
from aisha.settings import Settings

SHARED_MODELS = Path(__file__).parents[1] / ".cache" / "models"


def shared_models() -> Path:
    """Return the folder of models, with the small English one in it."""
    folder = Path(os.environ.get("AISHA_MODELS_DIR") or SHARED_MODELS)
    pull(language("en").small, Settings(models_dir=folder), lambda done, total: None)
    return folder
