"""An engine is software that recognises speech; a recogniser is one of its models, loaded and ready to decode.

Each engine has a module of its own beside this one, and only `ENGINE` says which is used.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aisha.speech import vosk
from aisha.speech.transcript import Transcript


class Recogniser(Protocol):
    """One model of an engine, for one language.

    1. A parent process loads it and warms it with speech of its language.
    2. Processes that are forked from the parent inherit it, and each decodes with it as often as it likes, alone.
    3. Each decoding is as if it were the first: nothing that was heard before changes the text.

    An engine whose state does not survive a fork keeps it in a process of its own and returns a client of that.
    """

    def warm(self, blocks: Iterable[NDArray[np.int16]]) -> float:
        """Decode speech (16 kHz mono) only to make later decodings faster; return its length in seconds."""

    def decode(self, blocks: Iterable[NDArray[np.int16]]) -> Transcript:
        """Return what is said in 16 kHz mono samples and how loud it is, with times from their beginning."""


class Engine(Protocol):
    """Software that recognises speech."""

    def load(self, model_path: Path) -> Recogniser:
        """Load the model in a folder.

        Raises:
            ModelError: the folder holds no model that this engine can load.
        """


ENGINE: Engine = vosk
