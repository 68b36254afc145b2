"""The warm recogniser against a fresh one, on real speech."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.speech import Clip, cards, librivox, prompts, word_error_rate

from aisha.errors import ModelError
from aisha.speech.audio import blocks
from aisha.speech.level import RATE
from aisha.speech.segment import Splitter
from aisha.speech.transcript import Part, Transcript, join
from aisha.speech.vosk import VoskRecogniser, load
from aisha.speech.warm_up import warm_up_speech

CLIPS = [*librivox()[:3], *cards()[:2], *prompts()[:2]]


@pytest.fixture(scope="module")
def fresh(english: Path) -> dict[Path, Transcript]:
    """What a recogniser of its own says of each clip."""
    return {clip.path: load(english).decode(blocks(clip.path)) for clip in CLIPS}


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.path.stem[-12:])
def test_a_warm_recogniser_says_what_a_fresh_one_says_at_the_same_times(
    clip: Clip, warm: VoskRecogniser, fresh: dict[Path, Transcript]
) -> None:
    """Kaldi adds a little noise to each frame, so that confidences differ in the second digit."""
    heard, expected = warm.decode(blocks(clip.path)), fresh[clip.path]
    assert heard.text() == expected.text()
    for word, other in zip(heard.words, expected.words, strict=True):
        assert word.start == pytest.approx(other.start, abs=0.035)
        assert word.end == pytest.approx(other.end, abs=0.035)
        assert word.confidence == pytest.approx(other.confidence, abs=0.1)


def test_a_forked_child_inherits_the_warmth_and_leaves_the_parent_as_it_was(warm: VoskRecogniser) -> None:
    clip = librivox()[0].path
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, warm.decode(blocks(clip)).text().encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == warm.decode(blocks(clip)).text()


def test_fewer_than_one_word_in_ten_of_a_reading_is_wrong(warm: VoskRecogniser) -> None:
    said = [warm.decode(blocks(clip.path)).text() for clip in librivox()]
    assert word_error_rate([clip.text for clip in librivox()], said) < 0.10


def test_fewer_than_one_word_in_five_of_telephone_prompts_is_wrong(warm: VoskRecogniser) -> None:
    clips = prompts("wav")[::8]
    said = [warm.decode(blocks(clip.path)).text() for clip in clips]
    assert word_error_rate([clip.text for clip in clips], said) < 0.20


def test_segments_joined_say_what_the_whole_says(warm: VoskRecogniser) -> None:
    pcm = np.concatenate([block for clip in prompts()[:18] for block in blocks(clip.path)])
    whole = warm.decode([pcm])
    parts = [Part(s.start, s.overlap, warm.decode([s.pcm])) for s in Splitter(30.0).split([pcm])]
    joined = join(parts)
    assert len(parts) > 1
    assert joined.duration == pytest.approx(whole.duration, abs=0.01)
    assert word_error_rate([whole.text()], [joined.text()]) < 0.05


def test_the_level_is_measured_on_the_way(warm: VoskRecogniser) -> None:
    level = warm.decode([np.full(RATE, 16384, np.int16), np.zeros(RATE, np.int16)]).level
    assert (level.seconds, level.peak, level.heard) == (2.0, 0.5, 1.0)


def test_nothing_says_nothing(warm: VoskRecogniser) -> None:
    assert warm.decode([]) == Transcript()


def test_a_folder_without_a_model_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"final\.mdl"):
        load(tmp_path)


def test_a_damaged_model_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "am").mkdir()
    (tmp_path / "am" / "final.mdl").write_bytes(b"")
    with pytest.raises(ModelError, match="does not load"):
        load(tmp_path)


def test_the_shipped_warm_up_is_half_a_minute_of_english(english: Path) -> None:
    recogniser = load(english)
    assert recogniser.warm(warm_up_speech("en", Path("/nonexistent"))) == pytest.approx(27.2, abs=0.5)


def test_an_operators_recording_comes_first_and_a_spoilt_one_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "warm_up").mkdir()
    (tmp_path / "warm_up" / "xx.ogg").write_text("no audio")
    (tmp_path / "warm_up" / "xx.wav").write_bytes(librivox()[0].path.read_bytes())
    assert sum(block.size for block in warm_up_speech("xx", tmp_path)) / RATE == pytest.approx(7.1)


def test_a_language_without_speech_has_no_warm_up(tmp_path: Path) -> None:
    assert list(warm_up_speech("tr", tmp_path)) == []


def test_long_digital_silence_moves_the_words_behind_it_and_loses_none(warm: VoskRecogniser) -> None:
    """Ten seconds of zeros between two sentences: the second is heard as alone, ten seconds and the first later."""
    first, second = (np.concatenate(list(blocks(clip.path))) for clip in librivox()[:2])
    silence = np.zeros(10 * RATE, dtype=np.int16)
    alone, whole = warm.decode([second]), warm.decode([np.concatenate([first, silence, second])])
    offset = (first.size + silence.size) / RATE
    later = [word for word in whole.words if word.start >= offset - 0.5]
    assert whole.duration == pytest.approx(offset + second.size / RATE, abs=0.01)
    assert word_error_rate([alone.text()], [" ".join(word.text for word in later)]) < 0.5  # dither
    assert later[-1].end == pytest.approx(offset + alone.words[-1].end, abs=0.3)
