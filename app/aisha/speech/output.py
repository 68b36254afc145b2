"""Where `aisha transcribe` writes: stdout or a folder, and stderr for what is wrong with a recording."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aisha.speech.audio import AudioInfo
from aisha.speech.console import complain, put
from aisha.speech.formats import WRITERS, json_line, to_json
from aisha.speech.judge import judge
from aisha.speech.naming import result_names
from aisha.speech.transcript import Transcript

NOTHING = {
    "silence": "nothing but silence",
    "no_speech": "sound, but no speech",
    "too_short": "too short for any word",
}


class Output:
    """Writes what is finished; files are known by their place among the arguments, as a name may come twice."""

    def __init__(self, kind: str, folder: Path | None, files: Sequence[str]) -> None:
        self._kind = kind
        self._folder = folder
        self._files = files
        self._names = result_names(files, kind, folder) if folder else []
        self._first = True

    def write(self, number: int, transcript: Transcript, info: AudioInfo) -> None:
        """Write one file's result, and say on stderr what is wrong with the recording.

        Raises:
            OSError: the folder or stdout cannot be written.
        """
        outcome = judge(transcript)
        if outcome != "speech":
            self._complain(number, NOTHING[outcome])
            transcript = Transcript((), transcript.duration, transcript.level)
        if info.truncated:
            minutes, seconds = divmod(int(transcript.duration), 60)
            self._complain(number, f"the file is damaged and ends early, at {minutes:02}:{seconds:02}")
        if info.tracks > 1:
            self._complain(number, f"this is audio track {info.track} of {info.tracks}")
        if self._kind == "json":
            about = {
                "outcome": outcome,
                "truncated": info.truncated,
                "track": info.track,
                "tracks": info.tracks,
            }
            self._write(number, to_json(transcript, file=self._files[number], **about))
        else:
            self._write(number, WRITERS[self._kind](transcript))

    def fail(self, number: int, error: str) -> None:
        """Say why a file has no result.

        Raises:
            OSError: stdout, which gets a line of JSON for it too, cannot be written.
        """
        self._complain(number, error)
        if self._kind == "json" and not self._folder:
            put(json_line({"file": self._files[number], "error": error}))

    def _complain(self, number: int, what: str) -> None:
        complain(f"{self._files[number]}: {what}")

    def _write(self, number: int, text: str) -> None:
        if self._folder:
            self._save(self._folder, number, text)
            return
        if len(self._files) > 1 and self._kind == "txt":
            text = f"{'' if self._first else chr(10)}==> {self._files[number]} <==\n{text}"
        self._first = False
        put(text)

    def _save(self, folder: Path, number: int, text: str) -> None:
        """Write a file whole or not at all; one of the same name from an earlier run is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".aisha-{os.getpid()}-{number}.part"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(folder / self._names[number])
        except OSError:
            with suppress(OSError):
                part.unlink()
            raise
