"""Unpacks a model's archive, which may come from anywhere, into a folder of its own."""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from aisha.errors import ModelError
from aisha.models.catalogue import named

LARGEST = 20 * 1024**3
"""No published model comes near; a zip bomb does."""

ACOUSTIC_MODEL = "final.mdl"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the one model of a zip archive into `folder`, whatever folder it has inside.

    Raises:
        ModelError: it is not a zip archive, is damaged, holds no model, or tries to write elsewhere.
        OSError: the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            root = _root(zipped, archive)
            for member in zipped.infolist():
                _unpack_member(zipped, member, root, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(f"{archive} is not a whole zip archive: {error}") from None


def unpacked_size(archive: Path) -> int:
    """Return the bytes that the archive's model takes on disk."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            return sum(member.file_size for member in zipped.infolist())
    except zipfile.BadZipFile as error:
        raise ModelError(f"{archive} is not a whole zip archive: {error}") from None


def copy(source: Path, folder: Path) -> None:
    """Copy a model that is unpacked already; links within it are refused.

    Raises:
        ModelError: it holds no model, or links.
    """
    models = sorted(path.parent for path in source.rglob(ACOUSTIC_MODEL))
    if not models:
        raise ModelError(f"{source} holds no speech model: there is no {ACOUSTIC_MODEL}")
    root = models[0].parent if models[0].name == "am" else models[0]
    if any(path.is_symlink() for path in root.rglob("*")):
        raise ModelError(f"{source} has symbolic links; a model has none")
    shutil.copytree(root, folder, dirs_exist_ok=True)


def name_inside(archive: Path) -> str | None:
    """Return the published model whose name the archive or folder carries, if any."""
    if archive.is_dir():
        names = [archive.name, *(path.name for path in archive.iterdir())]
    else:
        try:
            with zipfile.ZipFile(archive) as zipped:
                names = [archive.stem, *{name.split("/")[0] for name in zipped.namelist()}]
        except zipfile.BadZipFile:
            return None
    return next((name for name in names if named(name)), None)


def _root(zipped: zipfile.ZipFile, archive: Path) -> PurePosixPath:
    """Return the folder within the archive that is the model: the one with am/final.mdl or final.mdl."""
    members = zipped.infolist()
    if sum(member.file_size for member in members) > LARGEST:
        raise ModelError(f"{archive} unpacks to more than any model")
    for member in members:
        path = PurePosixPath(member.filename)
        if path.name == ACOUSTIC_MODEL and member.file_size:
            return path.parent.parent if path.parent.name == "am" else path.parent
    raise ModelError(f"{archive} holds no speech model: there is no {ACOUSTIC_MODEL}")


def _unpack_member(
    zipped: zipfile.ZipFile, member: zipfile.ZipInfo, root: PurePosixPath, folder: Path
) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0]:
        raise ModelError(f"the archive would write outside its folder: {member.filename}")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ModelError(f"the archive has a symbolic link: {member.filename}")
    if member.is_dir() or not path.is_relative_to(root):
        return
    target = folder / path.relative_to(root)
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipped.open(member) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file, 1024 * 1024)
