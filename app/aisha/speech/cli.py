"""`aisha transcribe`: the same engine as the worker's, on files, without any service."""

import os
import signal
import sys
from pathlib import Path

import click

from aisha import settings
from aisha.errors import AishaError, ModelError
from aisha.models.catalogue import language as known_language
from aisha.models.store import installed
from aisha.speech.allocator import prefer_fast_allocator
from aisha.speech.console import STDOUT, hold_descriptors

INTERRUPTED, BROKEN_PIPE = 130, 141
"""Exit statuses, as a shell gives them for SIGINT and SIGPIPE."""
CLEAN_LINE = b"\r\x1b[K\x1b[?25h"
"""Takes the progress bar away and shows the cursor again, which Rich hides."""


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option(
    "--format", "kind", type=click.Choice(["txt", "srt", "vtt", "json"]), default="txt", show_default=True
)
@click.option("--language", help="Language of the speech, as en or en-US. Default: AISHA_DEFAULT_LANGUAGE.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes that decode. Default: one per core.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per FILE here instead of to stdout; one that an earlier run wrote is replaced.",
)
@click.pass_context
def transcribe_command(
    context: click.Context,
    files: tuple[str, ...],
    kind: str,
    language: str | None,
    jobs: int | None,
    output_dir: Path | None,
) -> None:
    """Transcribe audio and video FILEs; `-` is standard input.

    The text goes to stdout in the order of the files. Several texts are separated by lines such as ==> FILE
    <==, JSON is one line for each file, and several subtitles need --output-dir. A result there is named
    after its FILE, with another ending; where two would have one name, the whole name is kept before the
    ending, and files of the same name are numbered: voice.wav.txt, voice.wav.2.txt.

    A file that cannot be transcribed is reported on stderr in one line (in JSON on stdout too, as an
    "error") and makes the exit status 1; the others are still done.
    """
    hold_descriptors()
    if len(files) > 1 and kind in ("srt", "vtt") and output_dir is None:
        raise click.UsageError(f"several files as {kind} need --output-dir")
    if sys.stdout is None and output_dir is None:
        raise AishaError("standard output is closed: name a folder with --output-dir")
    signal.signal(signal.SIGINT, _interrupted)
    if context.find_root().info_name == "aisha":
        prefer_fast_allocator()
    wanted = settings.load()
    model = _model(language or wanted.default_language, wanted.models_path)
    from aisha.speech.files import transcribe  # heavy, so only after the allocator's restart
    from aisha.speech.media.reader import MediaReader
    from aisha.speech.output import Output

    output = Output(kind, output_dir, files)
    try:
        media = MediaReader.of(wanted).start()
        failed = transcribe(files, model, jobs or wanted.concurrency or _cores(), output, media)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        sys.exit(BROKEN_PIPE)
    sys.exit(1 if failed else 0)


def _interrupted(*_: object) -> None:
    """Exit at once, and every child with it; an exception would be lost in a callback of PyAV or of a fork."""
    if sys.stderr and sys.stderr.isatty():
        os.write(sys.stderr.fileno(), CLEAN_LINE)
    os._exit(INTERRUPTED)


def _model(code: str, models_path: Path) -> Path:
    language = known_language(code)
    try:
        return installed(models_path)[language.code].path
    except KeyError:
        raise ModelError(
            f"no {language.english} model in {models_path}: run `aisha models pull {language.code}`"
        ) from None


def _cores() -> int:
    return len(os.sched_getaffinity(0))
