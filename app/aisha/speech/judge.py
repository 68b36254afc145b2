"""Decides whether a recording says anything, so that music and noise are not answered with invented words.

Where there is no speech a recogniser invents few words, long and of middling confidence. Measured with the small
English model on 38 recordings of plucked, bowed and organ music, bells, drums, noise, sweeps, hum and
telephone tones: at most 5 words, and at most 0.19 different ones for each second that is heard, each weighted by
its confidence. On 56 more tunes there was none; noise is heard as "huh", many seconds long. Of 550 recordings of
speech, clean, quiet, over a telephone, with noise 5 and 10 dB below it, all reach 0.2 except three single words that
noise had turned into others (confidence 0.24). A sung vowel may pass as the word "ah".
"""

from aisha.outcomes import Outcome
from aisha.speech.transcript import Transcript, Word

SHORTEST = 0.3
"""Seconds; no word is shorter."""

HEARD_AT_LEAST = 0.05
"""Seconds above -50 dBFS; a recording with less is silent."""

LONGEST_WORD = 1.5
SURE, QUITE_SURE = 0.7, 0.9
"""Confidences: two different words of the first, or one of the second, are speech however long the noise around."""

RATE = 0.25
RATE = 0.2
"""Different words, each weighted by its confidence, for each second that is heard."""


def judge(transcript: Transcript) -> Outcome:
    """Return what the recording is; only `speech` is worth its text."""
    if transcript.duration < SHORTEST:
        return "too_short"
    if _is_speech(transcript):
        return "speech"
    return "silence" if transcript.level.heard < HEARD_AT_LEAST else "no_speech"


def _is_speech(transcript: Transcript) -> bool:
    """Tell whether there are words to be sure of, or enough for the little that is heard."""
    words = [word for word in transcript.words if word.end - word.start <= LONGEST_WORD]
    heard = max(transcript.level.heard, sum(word.end - word.start for word in words), 0.01)
    sure = {word.text for word in words if word.confidence >= SURE}
    if len(sure) > 1 or any(word.confidence >= QUITE_SURE for word in words):
        return True
    return _weight(words) / heard >= RATE


def _weight(words: list[Word]) -> float:
    """Add up the best confidence of each different word; music is heard as the same one again and again."""
    best: dict[str, float] = {}
    for word in words:
        best[word.text] = max(best.get(word.text, 0.0), word.confidence)
    return sum(best.values())
