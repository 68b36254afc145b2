"""Installs a model atomically: it is there whole, or not at all."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from aisha.errors import ModelError
from aisha.models import archive as archives
from aisha.models.catalogue import LANGUAGES, Model
from aisha.models.download import Progress, discard, fetch, locate, require_space
from aisha.models.store import InstalledModel, installed_models, write_marker
from aisha.settings import Settings


def pull(model: Model, settings: Settings, progress: Progress) -> InstalledModel | None:
    """Download and install a model; return None when it is installed already.

    Raises:
        ModelError: it cannot be fetched; what was downloaded is kept for the next try.
    """
    with _locked(model, settings.models_path) as folder:
        if is_installed(model, folder):
            return None
        part = folder / f".{model.name}.part"
        source = locate(model, settings)
        sha256 = fetch(source, model, part, progress)
        try:
            require_space(folder, archives.unpacked_size(part))
            installed = _install(model, folder, source.url, sha256, lambda to: archives.unpack(part, to))
        except ModelError as error:
            if part.exists() and "MB free" not in str(error):
                discard(part)
            raise
        discard(part)
        return installed


def install_from(model: Model, source: Path, models_dir: Path) -> InstalledModel | None:
    """Install a model from an archive or a folder on this machine; return None when it is installed already.

    Raises:
        ModelError: the source is missing, another language's model, or none at all.
    """
    if not source.exists():
        raise ModelError(f"{source} does not exist")
    model = _right_model(model, source)
    with _locked(model, models_dir) as folder:
        if is_installed(model, folder):
            return None
        if source.is_dir():
            return _install(model, folder, source.name, "", lambda to: archives.copy(source, to))
        require_space(folder, archives.unpacked_size(source))
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return _install(model, folder, source.name, sha256, lambda to: archives.unpack(source, to))


def is_installed(model: Model, models_dir: Path) -> bool:
    """Tell whether this very model is complete on this machine."""
    return any(one.name == model.name for one in installed_models(models_dir))


def _right_model(model: Model, source: Path) -> Model:
    """Trust the name that the source carries over the size that was asked for, within the language."""
    name = archives.name_inside(source)
    language = LANGUAGES[model.language]
    for known in LANGUAGES.values():
        for one in (known.small, known.large):
            if one and one.name == name and known is not language:
                raise ModelError(f"{source} is a model for {known.english}, not {language.english}")
            if one and one.name == name:
                return one
    return model


def _install(
    model: Model, folder: Path, source: str, sha256: str, fill: Callable[[Path], None]
) -> InstalledModel:
    """Fill a hidden folder, sync it to disk, and rename it; a failure leaves nothing behind."""
    hidden = folder / f".{model.name}.unpacking"
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir()
    result = InstalledModel(model.name, model.language, model.size, hidden, source, sha256)
    try:
        fill(hidden)
        write_marker(result)
        _sync(hidden)
        final = folder / model.name
        if final.exists():
            shutil.rmtree(final)
        hidden.rename(final)
    except OSError as error:
        raise ModelError(f"cannot install {model.name} in {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    _sync_folder(folder)
    return replace(result, path=final)


def _sync(folder: Path) -> None:
    """Write every file and folder to disk, so that a power cut leaves no model with empty files."""
    for path in [*folder.rglob("*"), folder]:
        _sync_folder(path)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(model: Model, folder: Path) -> Iterator[Path]:
    """Hold the model's lock: a second pull waits and then finds the model installed.

    The lock file is deleted with the lock, so a process that waited for it checks that the file still has
    that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f".{model.name}.lock"
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _still_named(descriptor, path):
                break
            os.close(descriptor)
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _still_named(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
