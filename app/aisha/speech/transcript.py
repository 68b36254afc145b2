"""What was said and when: words with times and confidences, joined from the parts of a recording."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from aisha.speech.level import Level

PARAGRAPHS_FROM = 60.0
"""Seconds; a shorter recording is one paragraph."""

SEAM_TOLERANCE = 0.5
"""Seconds by which two decodings of one overlap may time the same word differently."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word; `start` and `end` in seconds from the recording's start, `confidence` from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float

    @property
    def middle(self) -> float:
        """The second in the word's middle."""
        return (self.start + self.end) / 2

    def shifted(self, seconds: float) -> "Word":
        """Return the same word later."""
        return replace(self, start=round(self.start + seconds, 3), end=round(self.end + seconds, 3))


@dataclass(frozen=True, slots=True)
class Transcript:
    """The words of a recording or of a segment of it, `duration` seconds long."""

    words: tuple[Word, ...] = ()
    duration: float = 0.0
    level: Level = field(default_factory=Level)

    def text(self, paragraph_gap: float = 2.0) -> str:
        """Return the words as running text.

        A pause of `paragraph_gap` seconds or more starts a new paragraph, after an empty line, when the
        recording is a minute long or longer.
        """
        gap = paragraph_gap if self.duration >= PARAGRAPHS_FROM else float("inf")
        return "\n\n".join(" ".join(word.text for word in words) for words in runs(self.words, gap))

    @property
    def confidence(self) -> float:
        """The mean confidence of its words, 0 when there are none."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; a word is `[text, start, end, confidence]`."""
        words = [[word.text, word.start, word.end, word.confidence] for word in self.words]
        return {"duration": self.duration, "level": self.level.to_json(), "words": words}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        words = tuple(Word(str(text), float(s), float(e), float(c)) for text, s, e, c in value["words"])
        return cls(words, float(value["duration"]), Level.from_json(value["level"]))


@dataclass(frozen=True, slots=True)
class Part:
    """The transcript of one segment.

    It begins `start` seconds into the recording; its first `overlap` seconds are also the end of the part
    before.
    """

    start: float
    overlap: float
    transcript: Transcript


def runs(words: Sequence[Word], gap: float) -> Iterable[tuple[Word, ...]]:
    """Split words where the silence between two of them is at least `gap` seconds."""
    begin = 0
    for index in range(1, len(words)):
        if words[index].start - words[index - 1].end >= gap:
            yield tuple(words[begin:index])
            begin = index
    if words:
        yield tuple(words[begin:])


def join(parts: Iterable[Part]) -> Transcript:
    """Join the parts of one recording, in any order, by time.

    Within an overlap each side keeps the words whose middle lies on its side of the overlap's middle, the
    seam; a word at the seam that both sides heard stays once.
    """
    words: list[Word] = []
    level, end = Level(), 0.0
    for part in sorted(parts, key=lambda part: part.start):
        new = [word.shifted(part.start) for word in part.transcript.words]
        if part.overlap > 0:
            words, new = _cut(words, new, part.start + part.overlap / 2, part.overlap)
        words += new
        level += part.transcript.level
        end = max(end, part.start + part.transcript.duration)
    return Transcript(tuple(words), round(end, 3), level)


def _cut(left: list[Word], right: list[Word], seam: float, overlap: float) -> tuple[list[Word], list[Word]]:
    """Drop what the other side of the seam says better.

    A word straddling the seam may be timed to either side of it by each decoding, so it can be kept twice or
    lost: both are corrected by comparing with what the other side heard there.
    """
    kept_left = [word for word in left if word.middle < seam]
    kept_right = [word for word in right if word.middle >= seam]
    if kept_left and kept_right and _same(kept_left[-1], kept_right[0]):
        kept_right = kept_right[1:]
    lost = [w for w in left if seam <= w.middle < seam + min(SEAM_TOLERANCE, overlap / 2)]
    if lost and (found := _twin(lost[0], right)) and found.middle < seam and not _heard(found, kept_left):
        kept_left = [*kept_left, found]
    return kept_left, kept_right


def _same(one: Word, other: Word) -> bool:
    return one.text == other.text and abs(one.middle - other.middle) <= SEAM_TOLERANCE


def _twin(word: Word, others: Iterable[Word]) -> Word | None:
    return next((other for other in others if _same(word, other)), None)


def _heard(word: Word, words: list[Word]) -> bool:
    return bool(words) and _same(words[-1], word)
