"""Speech to warm a recogniser with: it must be of the model's language, and real, but can be anyone's.

Measured: noise or synthesis leave a fresh recogniser's cost at 0.55 to 0.65, 10 s of real speech at 0.39 to
0.52, 30 s at 0.37 to 0.42; beyond a minute little is gained.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from aisha.errors import AudioError
from aisha.speech.audio import blocks
from aisha.speech.level import RATE
from aisha.speech.loudness import BLOCK

LONGEST = 60.0
SHIPPED = Path(__file__).parent / "warm_up"
SYSTEM = {"ru": Path("/usr/share/festival/voices/russian")}
"""Recorded voices that other Debian packages bring: festvox-ru."""

log = structlog.get_logger(__name__)


def warm_up_speech(language: str, models_path: Path) -> Iterator[NDArray[np.int16]]:
    """Yield up to a minute of speech in the language, as 16 kHz mono blocks; nothing when there is none.

    An operator's own recordings come first: `warm_up/LANGUAGE.*` in the folder of models, of any format.
    """
    speech = (block for path in _recordings(language, models_path) for block in _readable(path))
    return islice(speech, int(LONGEST * RATE / BLOCK))


def _recordings(language: str, models_path: Path) -> Iterator[Path]:
    yield from sorted((models_path / "warm_up").glob(f"{language}.*"))
    yield from sorted(SHIPPED.glob(f"{language}.*"))
    if folder := SYSTEM.get(language):
        yield from sorted(folder.glob("*/wav/*.wav"))


def _readable(path: Path) -> Iterator[NDArray[np.int16]]:
    try:
        yield from blocks(path)
    except (AudioError, OSError) as error:
        log.warning("warm-up recording skipped", path=str(path), reason=str(error))
