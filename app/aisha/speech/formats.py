"""Writes a transcript as plain text, subtitles (SubRip, WebVTT) or JSON."""

import json
import re
from typing import Any

from aisha.speech.cues import cues
from aisha.speech.transcript import Transcript


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


def to_json(transcript: Transcript, **about: Any) -> str:
    """Return one line of JSON: what is known about the file, the text and each word with its times and confidence."""
    words = [
        {"word": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
        for word in transcript.words
    ]
    return json_line(about | {"duration": transcript.duration, "text": transcript.text(), "words": words})


def json_line(value: dict[str, Any]) -> str:
    """Return one line of JSON in UTF-8; a byte of a file's name that is no UTF-8 is written as a lone surrogate."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda byte: f"\\u{ord(byte[0]):04x}", text) + "\n"


WRITERS = {"txt": txt, "srt": srt, "vtt": vtt}


def _joined(lines: tuple[str, ...]) -> str:
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds_part, milliseconds = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{seconds_part:02}{mark}{milliseconds:03}"
