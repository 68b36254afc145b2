"""Results in a folder never take each other's place, or a recording's."""

import os
from pathlib import Path

import pytest

from aisha.speech.naming import result_names

NAMES = {
    "one": (["a/voice.wav"], ["voice.txt"]),
    "stdin": (["-"], ["stdin.txt"]),
    "a file called -": (["./-", "-"], ["-.txt", "stdin.txt"]),
    "different": (["a.wav", "b.ogg"], ["a.txt", "b.txt"]),
    "one stem": (["a.wav", "a.ogg"], ["a.wav.txt", "a.ogg.txt"]),
    "one name": (["a/v.wav", "b/v.wav", "c/v.wav"], ["v.wav.txt", "v.wav.2.txt", "v.wav.3.txt"]),
    "the same file": (["v.wav", "v.wav"], ["v.wav.txt", "v.wav.2.txt"]),
    "a stem that is a name": (["x.mp3", "x.wav", "x.mp3.ogg"], ["x.mp3.txt", "x.wav.txt", "x.mp3.ogg.txt"]),
    "in another order": (["x.mp3.ogg", "x.wav", "x.mp3"], ["x.mp3.ogg.txt", "x.wav.txt", "x.mp3.txt"]),
    "case": (["a/Voice.wav", "b/voice.ogg"], ["Voice.wav.txt", "voice.ogg.txt"]),
    "names but for case": (["a/V.wav", "b/v.wav"], ["V.wav.txt", "v.wav.2.txt"]),
    "two spellings of one letter": (
        ["a/\u00e9.wav", "b/e\u0301.wav"],
        ["\u00e9.wav.txt", "e\u0301.wav.2.txt"],
    ),
    "a name that looks numbered": (
        ["a/v.wav", "b/v.wav", "v.wav.2"],
        ["v.wav.txt", "v.wav.2.txt", "v.wav.2.2.txt"],
    ),
    "stdin and its namesake": (["-", "stdin.wav"], ["stdin.txt", "stdin.wav.txt"]),
}


@pytest.mark.parametrize("case", NAMES)
def test_each_result_has_a_name_of_its_own(case: str, tmp_path: Path) -> None:
    files, expected = NAMES[case]
    assert sorted(result_names(files, "txt", tmp_path)) == sorted(expected)
    assert len({name.casefold() for name in result_names(files, "txt", tmp_path)}) == len(files)


def test_a_recording_is_not_replaced_by_its_own_result(tmp_path: Path) -> None:
    recording = tmp_path / "voice.txt"
    recording.touch()
    (tmp_path / "link.srt").hardlink_to(recording)
    assert result_names([str(recording)], "txt", tmp_path) == ["voice.txt.txt"]
    assert result_names([str(recording), str(tmp_path / "link.srt")], "srt", tmp_path) == [
        "voice.srt",
        "link.srt.srt",
    ]


@pytest.mark.parametrize("letter", ["a", "\u044f", "\U0001f600", os.fsdecode(b"\xe9")])
@pytest.mark.parametrize("length", [240, 250, 251, 252, 255])
def test_names_that_would_become_too_long_are_cut_and_stay_apart(
    letter: str, length: int, tmp_path: Path
) -> None:
    name = letter * (length // len(os.fsencode(letter)))
    names = result_names([f"a/{name}", f"b/{name}", f"c/{name}"], "json", tmp_path)
    assert len(set(names)) == 3
    assert max(len(os.fsencode(each)) for each in names) <= 255
    assert all(each.endswith(".json") for each in names)
    for each in names:
        (tmp_path / each).touch()
