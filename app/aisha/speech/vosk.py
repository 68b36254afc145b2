"""The engine Vosk: a recogniser that is warmed once and inherited by forked processes.

The small models compose their decoding graph as it is walked, and Kaldi's recogniser owns what was composed, so
a fresh one is slow for its first half minute. A recogniser that has heard speech in the parent keeps that
graph across `fork`: measured, a voice of 2 to 10 s costs about a third of the CPU that a fresh recogniser
takes, and the text is the same.

What must not be done to it: `Reset()` keeps the speaker adaptation of what was heard before and changes
texts; `SetGrammar()` and a new recogniser build a new graph. `FinalResult()` drops the adaptation and
keeps the graph.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisha.errors import ModelError
from aisha.speech.level import RATE, Meter
from aisha.speech.transcript import Transcript, Word

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

BLOCK = RATE // 2
"""Samples fed at once; anything from 0.1 s to 1 s costs the same within 2 %."""

DIGITAL_SILENCE = 3
"""Samples up to this are silence that a codec makes, at -80 dBFS; no microphone is so quiet."""

SILENCE_HEARD = 3.0
"""Seconds of such silence that are decoded before the rest is skipped, which would cost 0.04 s per second."""


def load(model_path: Path) -> "VoskRecogniser":
    """Load the model in a folder.

    Raises:
        ModelError: the folder holds no model that Vosk can load.
    """
    import vosk

    vosk.SetLogLevel(-1)
    if not (model_path / "am" / "final.mdl").is_file() and not (model_path / "final.mdl").is_file():
        raise ModelError(f"no speech model in {model_path}: it has no final.mdl")
    try:
        kaldi = vosk.KaldiRecognizer(vosk.Model(model_path=str(model_path)), RATE)
    except Exception as error:
        raise ModelError(f"the speech model in {model_path} does not load: {error}") from error
    kaldi.SetWords(True)
    return VoskRecogniser(kaldi)


class VoskRecogniser:
    """One `KaldiRecognizer`, never replaced; each decoding ends with `FinalResult()`, which forgets the speaker."""

    def __init__(self, kaldi: Any) -> None:
        self._kaldi = kaldi
        self._fed = 0
        self._skipped = 0

    def warm(self, blocks: Iterable[NDArray[np.int16]]) -> float:
        """Decode speech (blocks of int16, 16 kHz mono) to build the graph; return its length in seconds."""
        before = self._fed
        self._hear(blocks)
        return (self._fed - before) / RATE

    def decode(self, blocks: Iterable[NDArray[np.int16]]) -> Transcript:
        """Return what is said in blocks of int16 samples at 16 kHz mono, with times from their beginning."""
        begin = self._fed - self._skipped
        meter = Meter()
        heard = self._hear(meter.watch(blocks))
        words = tuple(_word(word, begin / RATE) for word in heard)
        return Transcript(words, round(meter.total.seconds, 3), meter.total)

    def _hear(self, blocks: Iterable[NDArray[np.int16]]) -> list[dict[str, Any]]:
        words: list[dict[str, Any]] = []
        silent = skipped = 0
        for block in blocks:
            for begin in range(0, block.size, BLOCK):
                piece = block[begin : begin + BLOCK]
                self._fed += piece.size
                silent = silent + piece.size if _is_silent(piece) else 0
                if silent > SILENCE_HEARD * RATE:
                    if silent - piece.size <= SILENCE_HEARD * RATE:
                        words += _later(self._kaldi.FinalResult(), skipped)
                    skipped += piece.size
                elif self._kaldi.AcceptWaveform(piece.tobytes()):
                    words += _later(self._kaldi.Result(), skipped)
        words += _later(self._kaldi.FinalResult(), skipped)
        self._skipped += skipped
        return words


def _is_silent(piece: NDArray[np.int16]) -> bool:
    return int(piece.max(initial=0)) <= DIGITAL_SILENCE and int(piece.min(initial=0)) >= -DIGITAL_SILENCE


def _later(result: str, skipped: int) -> list[dict[str, Any]]:
    """Return the words of a result, moved by the samples that were skipped before them."""
    words = json.loads(result).get("result", [])
    return [
        word | {"start": word["start"] + skipped / RATE, "end": word["end"] + skipped / RATE}
        for word in words
    ]


def _word(heard: dict[str, Any], begin: float) -> Word:
    """Turn Kaldi's own clock, which never stops, into seconds since this decoding's beginning."""
    start, end = (max(0.0, round(heard[side] - begin, 2)) for side in ("start", "end"))
    return Word(heard["word"], start, end, round(heard["conf"], 3))
