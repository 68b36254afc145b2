"""Writes a transcript as plain text, subtitles (SubRip, WebVTT) or JSON."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aisha.speech.transcript import Transcript, Word, runs

SENTENCE_GAP = 0.7
"""Seconds of silence that end a cue; the recogniser writes no punctuation."""

LINE, LINES = 42, 2
"""Characters per line and lines per cue: the usual limit for subtitles."""

LONGEST = 6.0
SHORTEST = 1.0
"""Maximum and minimum seconds that a cue is shown; the minimum only if the next cue leaves room."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle, from second `start` to second `end`."""

    start: float
    end: float
    lines: tuple[str, ...]


def txt(transcript: Transcript) -> str:
    """Return running text, ended by a line feed."""
    text = transcript.text()
    return f"{text}\n" if text else ""


def srt(transcript: Transcript) -> str:
    """Return SubRip subtitles."""
    blocks = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_joined(cue.lines)}\n"
        for number, cue in enumerate(cues(transcript), 1)
    )
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """Return WebVTT subtitles (https://www.w3.org/TR/webvtt1/); `&`, `<` and `>` are escaped."""
    blocks = (
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_joined(cue.lines))}\n"
        for cue in cues(transcript)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def to_json(transcript: Transcript) -> str:
    """Return one line of JSON: the duration, the text and each word with its times and confidence."""
    words = [
        {"word": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
        for word in transcript.words
    ]
    value = {"duration": transcript.duration, "text": transcript.text(), "words": words}
    return json.dumps(value, ensure_ascii=False) + "\n"


WRITERS = {"txt": txt, "srt": srt, "vtt": vtt, "json": to_json}


def cues(transcript: Transcript) -> list[Cue]:
    """Cut a transcript into cues that follow each other in time and fit the screen."""
    groups = [part for run in runs(transcript.words, SENTENCE_GAP) for part in _fitting(run)]
    following = [*(group[0].start for group in groups[1:]), float("inf")]
    return [_cue(group, after) for group, after in zip(groups, following, strict=False)]


def _fitting(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Halve a run of words, best at its longest pause, until each part fits."""
    fits = words[-1].end - words[0].start <= LONGEST and len(_wrapped(words)) <= LINES
    if fits or len(words) == 1:
        yield words
        return
    middle = (words[0].start + words[-1].end) / 2
    length = max(words[-1].end - words[0].start, 0.001)
    gaps = [
        after.start - before.end - abs(after.start - middle) / length for before, after in pairwise(words)
    ]
    cut = gaps.index(max(gaps)) + 1
    yield from _fitting(words[:cut])
    yield from _fitting(words[cut:])


def _cue(words: Sequence[Word], following: float) -> Cue:
    start = words[0].start
    shown = min(max(words[-1].end, start + SHORTEST), start + LONGEST)
    return Cue(start, max(min(shown, following), start + 0.001), tuple(_wrapped(words)))


def _wrapped(words: Sequence[Word]) -> list[str]:
    return textwrap.wrap(" ".join(word.text for word in words), LINE, break_on_hyphens=False)


def _joined(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds_part, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds_part:02}{mark}{milliseconds:03}"
