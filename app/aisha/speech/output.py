"""Where `aisha transcribe` writes: stdout or a folder, and stderr for what is wrong with a recording."""

import sys
from pathlib import Path

import click

from aisha.speech.formats import WRITERS
from aisha.speech.judge import judge
from aisha.speech.transcript import Transcript

STDIN = Path("-")
"""The argument that is standard input; its result in a folder is called `stdin`."""

NOTHING = {
    "silence": "nothing but silence",
    "no_speech": "sound, but no speech",
    "too_short": "too short for any word",
}


class Output:
    """Writes what is finished, in the order of the arguments."""

    def __init__(self, kind: str, folder: Path | None, paths: tuple[Path, ...]) -> None:
        self._kind = kind
        self._folder = folder
        self._several = len(paths) > 1
        stems = [path.stem for path in paths]
        self._ambiguous = {stem for stem in stems if stems.count(stem) > 1}
        self._first = True

    def write(self, path: Path, transcript: Transcript, *, truncated: bool) -> None:
        """Write one file's result, and say on stderr what is wrong with the recording.

        Raises:
            OSError: the folder or stdout cannot be written.
        """
        outcome = judge(transcript)
        if outcome != "speech":
            click.echo(f"{path}: {NOTHING[outcome]}", err=True)
            transcript = Transcript((), transcript.duration, transcript.level)
        if truncated:
            minutes, seconds = divmod(int(transcript.duration), 60)
            click.echo(f"{path}: the file is damaged and ends early, at {minutes:02}:{seconds:02}", err=True)
        self._write(path, WRITERS[self._kind](transcript))

    def _write(self, path: Path, text: str) -> None:
        if self._folder:
            self._save(path, text)
            return
        if self._several and self._kind == "txt":
            text = f"{'' if self._first else chr(10)}==> {path} <==\n{text}"
        self._first = False
        sys.stdout.write(text)
        sys.stdout.flush()

    def _save(self, path: Path, text: str) -> None:
        assert self._folder
        self._folder.mkdir(parents=True, exist_ok=True)
        name = "stdin" if path == STDIN else path.name if path.stem in self._ambiguous else path.stem
        target = self._folder / f"{name}.{self._kind}"
        part = target.with_name(f".{target.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)
