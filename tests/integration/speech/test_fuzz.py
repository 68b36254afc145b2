"""A part of `make fuzz`, as much as fits into a few seconds."""

import time

from tests.fuzz.run import fuzz

from aisha.speech.media.reader import MediaReader

SECONDS = 20


def test_each_mutated_file_gets_a_verdict_and_none_makes_its_process_crash(media: MediaReader) -> None:
    tally = fuzz(media, range(10_000), time.monotonic() + SECONDS)
    assert tally.files > 0
    assert sum(tally.verdicts.values()) == tally.files
    assert (tally.lost, tally.crashed) == ([], [])
    assert tally.verdicts["unreadable"] < tally.files / 2
