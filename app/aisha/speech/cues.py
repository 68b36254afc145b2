"""Cuts a transcript into subtitles that end where a speaker pauses or a phrase ends.

The recogniser writes no punctuation. What is left are the pauses, and the words that lean on the next one (articles,
prepositions, conjunctions, auxiliaries): a phrase begins before such a word and does not end behind it. The limits
are those of the trade: two lines of 42 characters, a second to six, at most 17 characters a second if there is room.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from aisha.speech.transcript import Transcript, Word, runs

SENTENCE_GAP = 0.7
"""Seconds of silence that always end a cue."""

LINE, LINES = 42, 2
LONGEST, SHORTEST = 6.0, 1.0
"""Maximum and minimum seconds that a cue is shown; the minimum only if the next cue leaves room."""

PACE = 17.0
"""Characters that are read in a second."""

LEANING_WORDS = """
a an the this these those my your his her its our their some any no every each very too so as than that which
who whom whose what when where why how if whether because although though while until unless since and or but
nor of in on at by for from to into onto with without within about over under between through during before
after against among upon is are was were be been being am has have had do does did will would shall should
can could may might must not there much many more most i we you he she it they mister mrs miss doctor
и а но или да что чтобы если когда как где куда почему потому который которая которое которые в во на с со к
ко о об от до из за по под над при для без через у не ни бы же мой моя твой его её их наш ваш этот эта это
эти тот та те очень і й та але або що щоб якщо коли як де у з зі до від для без через не цей ця ці
der die das den dem des ein eine einen einem einer eines und oder aber dass weil wenn ob als wie zu in im an am
auf aus bei mit nach von vom vor für um über unter durch ohne ist sind war waren hat haben wird werden nicht
mein dein sein ihr unser euer sehr
le la les un une des du de et ou mais que qui dont où si quand comme pour par avec sans dans sur sous chez en
au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre votre leur est sont était ne pas très je tu il
el los las una unos unas y o pero porque cuando como donde para por con sin sobre entre hasta desde del al mi
tu su nuestro es son era no muy os as um uma uns umas e ou mas quando onde para com sem sobre entre até do da
dos das no na nos nas ao à meu minha seu sua não muito
lo gli i uno di dal della nel nella sul sulla con per tra fra che chi cui quando dove perché mio tuo suo è non
w we z ze na do od po za o u przy dla bez przez nie i oraz lub albo ale że żeby jeśli kiedy jak gdzie który
mój twój jego jej nasz bardzo bir bu şu ve veya ama çok
"""
LEANING = frozenset(LEANING_WORDS.split())
"""English, Russian and Ukrainian, German, French, Spanish and Portuguese, Italian, Polish and Turkish."""

LEANS, PHRASE, PAUSED = 3.0, -1.0, -4.0
"""Costs of an end: behind a word that leans on the next; before a phrase that begins with one; in a pause of
`SENTENCE_GAP` (in a shorter one in proportion)."""

CUE, UNEVEN, HASTY = 2.0, 3.0, 3.0
"""Costs of a cue: that there is one more; of a line or cue that is short beside its neighbour; under a second."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle, from second `start` to second `end`."""

    start: float
    end: float
    lines: tuple[str, ...]


def cues(transcript: Transcript) -> list[Cue]:
    """Cut a transcript into cues that follow each other in time and fit the screen."""
    groups = [part for run in runs(transcript.words, SENTENCE_GAP) for part in _groups(run)]
    following = [*(group[0].start for group in groups[1:]), float("inf")]
    return [_cue(group, after) for group, after in zip(groups, following, strict=False)]


def _groups(words: Sequence[Word]) -> list[Sequence[Word]]:
    """Cut speech without a long pause into cues."""

    def cost(begin: int, end: int) -> float:
        part = words[begin:end]
        seconds = part[-1].end - part[0].start
        if len(part) > 1 and (seconds > LONGEST or not _fits(part)):
            return math.inf
        full = min(len(_text(part)) / (LINE * LINES), 1.0)
        hasty = max(0.0, SHORTEST - seconds)
        return CUE + HASTY * hasty + UNEVEN * (1 - full) ** 2 + _end_cost(words, end)

    return _cheapest(words, cost)


def _cheapest(words: Sequence[Word], cost: Callable[[int, int], float]) -> list[Sequence[Word]]:
    """Cut words into the parts that cost the least together.

    The best cut of the first n words is known for each n before it is needed. A part grows backwards from its end
    until its cost is infinite.
    """
    best, begins = [0.0], [0]
    for end in range(1, len(words) + 1):
        choices = []
        for begin in range(end - 1, -1, -1):
            if math.isinf(own := cost(begin, end)):
                break
            choices.append((best[begin] + own, begin))
        total, begin = min(choices)
        best.append(total)
        begins.append(begin)
    ends = [len(words)]
    while ends[-1]:
        ends.append(begins[ends[-1]])
    return [words[begin:end] for end, begin in pairwise(ends)][::-1]


def _end_cost(words: Sequence[Word], end: int) -> float:
    """Return what it costs to part words before index `end`; nothing at the end of speech."""
    if end == len(words):
        return 0.0
    before, after = words[end - 1], words[end]
    leans, begins = before.text in LEANING, after.text in LEANING
    pause = min(max(after.start - before.end, 0.0) / SENTENCE_GAP, 1.0)
    return PAUSED * pause + LEANS * leans + PHRASE * (begins and not leans)


def _cue(words: Sequence[Word], following: float) -> Cue:
    start = words[0].start
    readable = start + max(SHORTEST, len(_text(words)) / PACE)
    shown = min(max(words[-1].end, readable), start + LONGEST)
    return Cue(start, max(min(shown, following), start + 0.001), _lines(words))


def _lines(words: Sequence[Word]) -> tuple[str, ...]:
    """Return a cue's text as one line, or as two that part where a phrase ends and are about equally long."""
    text = _text(words)
    splits = [(words[:cut], words[cut:], cut) for cut in range(1, len(words))]
    fitting = [split for split in splits if all(len(_text(half)) <= LINE for half in split[:2])]
    if len(text) <= LINE or not fitting:
        return tuple(textwrap.wrap(text, LINE, break_on_hyphens=False))
    upper, lower, _ = min(
        fitting,
        key=lambda split: (
            _end_cost(words, split[2]) + UNEVEN * abs(len(_text(split[0])) - len(_text(split[1]))) / LINE
        ),
    )
    return _text(upper), _text(lower)


def _fits(words: Sequence[Word]) -> bool:
    lines, length = 1, -1
    for word in words:
        length += 1 + len(word.text)
        if length > LINE:
            lines, length = lines + 1, len(word.text)
    return lines <= LINES and max(len(word.text) for word in words) <= LINE


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
