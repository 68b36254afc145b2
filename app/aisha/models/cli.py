"""`aisha models`: list, pull and remove speech models."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aisha.errors import ModelError
from aisha.models.catalogue import LANGUAGES, Language, Model, language
from aisha.models.store import InstalledModel, installed_models, remove

if TYPE_CHECKING:
    from aisha.models.download import Progress
    from aisha.settings import Settings

LINE_EVERY = 5.0
"""Seconds between two lines of progress where no terminal shows a bar."""


@click.group()
def models_command() -> None:
    """List, pull and remove speech models."""


@models_command.command("list")
@click.option("--installed", "only_installed", is_flag=True, help="Only those on this machine.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def list_models(only_installed: bool, as_json: bool) -> None:
    """List the models that can be pulled and those that are installed."""
    here = {model.name: model for model in installed_models(_models_path())}
    known = [(one, model) for one in LANGUAGES.values() for model in (one.small, one.large) if model]
    rows = [_row(one, model, here.get(model.name)) for one, model in known]
    rows = [row for row in rows if row["installed"] or not only_installed]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    _table(rows)


@models_command.command("pull")
@click.argument("languages", nargs=-1, required=True, metavar="LANGUAGE...")
@click.option("--large", is_flag=True, help="The large model: fewer errors, some 5 GB of memory.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    help="An archive or folder on this machine, instead of the network.",
)
@click.option("--quiet-if-installed", is_flag=True, help="Print nothing when there is nothing to do.")
def pull_models(
    languages: tuple[str, ...], large: bool, source: Path | None, quiet_if_installed: bool
) -> None:
    """Fetch the model of each LANGUAGE (a code such as en) and install it."""
    models = [language(code).model("large" if large else "small") for code in languages]
    if source and len(models) > 1:
        raise click.UsageError("--from installs one language at a time")
    folder = _models_path()
    here = {model.name for model in installed_models(folder)}
    for model in models:
        if model.name in here:
            if not quiet_if_installed:
                click.echo(f"{model.name} is installed already; nothing to download.")
        else:
            _pull(model, source)


@models_command.command("remove")
@click.argument("wanted", metavar="LANGUAGE|NAME")
def remove_models(wanted: str) -> None:
    """Delete the models of a LANGUAGE, or the one of that NAME."""
    found = [m for m in installed_models(_models_path()) if wanted in (m.language, m.name)]
    if not found:
        raise ModelError(f"no installed model is called {wanted!r}; see `aisha models list --installed`")
    for model in found:
        remove(model)
        click.echo(f"Removed {model.name}.")


def _pull(model: Model, source: Path | None) -> None:
    """Install one model and say so."""
    from aisha.models.install import install_from, pull

    settings = _settings()
    if source:
        done = install_from(model, source, settings.models_path)
    else:
        with _progress(model) as progress:
            done = pull(model, settings, progress)
    name = done.name if done else model.name
    click.echo(f"Installed {name}." if done else f"{name} is installed already; nothing to download.")


def _settings() -> "Settings":
    from aisha.settings import load

    return load()


def _models_path() -> Path:
    """Return `Settings.models_path` without importing pydantic, which takes longer than all the rest."""
    if models_dir := os.environ.get("AISHA_MODELS_DIR"):
        return Path(models_dir).expanduser().absolute()
    return Path(os.environ.get("AISHA_DATA_DIR") or ".local").expanduser().absolute() / "models"


def _row(one: Language, model: Model, here: InstalledModel | None) -> dict[str, object]:
    return {
        "language": one.code,
        "name": one.english,
        "native": one.native,
        "model": model.name,
        "size": model.size,
        "megabytes": model.megabytes,
        "installed": here is not None,
    }


def _table(rows: list[dict[str, object]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("language", "", "model", "size", "MB", "installed", box=box.SIMPLE)
    for row in rows:
        installed = "yes" if row["installed"] else ""
        cells = (row["language"], row["name"], row["model"], row["size"], row["megabytes"], installed)
        table.add_row(*(str(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 100).print(table)


@contextmanager
def _progress(model: Model) -> "Iterator[Progress]":
    """Show a download on stderr: a bar on a terminal, else a line every few seconds."""
    if not sys.stderr.isatty():
        yield _Lines(model.name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(model.name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """Progress as lines of a log, the first before anything has come."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._next = time.monotonic() + LINE_EVERY
        click.echo(f"{name}: downloading", err=True)

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY
            of = f" of {total / 1e6:.0f}" if total else ""
            click.echo(f"{self._name}: {done / 1e6:.0f}{of} MB", err=True)
