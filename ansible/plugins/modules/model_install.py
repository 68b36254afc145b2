#!/usr/bin/python
"""Have speech models in a folder, every file with its digest; a model is there whole or not at all."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_install
short_description: Have speech models in a folder, every file with its digest
description:
  - Reads every file of every wanted model. A model that is missing or differs in a file is unpacked from its archive, `.NAME.tar.gz` in the
    same folder, beside its place; it takes the place when all its files have their digests, and the archive is removed.
  - Without such an archive the model is told to be needed, and nothing is changed.
options:
  path: {description: The folder of models., type: path, required: true}
  models:
    description: The wanted models.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The model's folder., type: str, required: true}
      sha256: {description: The archive's digest., type: str, required: true}
      files: {description: The digest of each file., type: dict, required: true}
  purge: {description: Whether other models are removed., type: bool, default: false}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Have the English model
  model_install: {path: /var/lib/aisha/models, models: "{{ packed.models }}"}
"""
RETURN = r"""
needed: {description: The names of models whose archive is needed., type: list, elements: str, returned: always}
changes: {description: What was done, in sentences., type: list, elements: str, returned: always}
"""

import os
import shutil
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.digests import of_file
from ansible.module_utils.files import take_place

MARKER = "aisha-model.json"
CHUNK = 1024 * 1024


def differing(folder: Path, files: dict[str, str]) -> list[str]:
    """Return the files of a folder that are missing, not as wanted, or not wanted."""
    paths = folder.rglob("*") if folder.is_dir() else ()
    present = {
        str(path.relative_to(folder)): path for path in paths if not path.is_dir() or path.is_symlink()
    }
    changed = {name for name, path in present.items() if name in files and not is_right(path, files[name])}
    return sorted(changed | (present.keys() ^ files.keys()))


def is_right(path: Path, wanted: str) -> bool:
    """Tell whether a file has its digest, and its readers may read it."""
    return not path.is_symlink() and path.stat().st_mode & 0o777 == 0o644 and of_file(path) == wanted


def unpack(archive: Path, folder: Path, files: dict[str, str]) -> None:
    """Unpack a model's files into a folder and write them to disk.

    Raises:
        ValueError: a file is missing or has not its digest.
    """
    with tarfile.open(archive, mode="r|gz") as tar:
        for member in tar:
            if member.name not in files or not member.isreg():
                raise ValueError(f"{archive} has {member.name}, which the model has not")
            target = folder / member.name
            for parent in reversed(target.relative_to(folder).parents):
                (folder / parent).mkdir(mode=0o755, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None  # it is a regular file
            with target.open("wb") as file:
                shutil.copyfileobj(content, file, CHUNK)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
    if wrong := differing(folder, files):
        raise ValueError(f"{archive}: {', '.join(wrong)} is not what it should be")


def install(path: Path, model: dict) -> bool:
    """Put a model in its place from its archive; return False when there is no archive, or not the right one."""
    archive, aside = path / f".{model['name']}.tar.gz", path / f".{model['name']}.unpacking"
    if not archive.is_file() or of_file(archive) != model["sha256"]:
        return False
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o755)
    try:
        unpack(archive, aside, model["files"])
        take_place(aside, path / model["name"])
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    archive.unlink()
    return True


def leftovers(path: Path, wanted: list[str], *, purge: bool) -> list[Path]:
    """Return what interrupted runs have left, and with `purge` the models that nobody wants."""
    hidden = [each for kind in ("unpacking", "old") for each in path.glob(f".*.{kind}")]
    archives = [each for each in path.glob(".*.tar.gz") if each.name[1:-7] not in wanted]
    others = [marker.parent for marker in path.glob(f"*/{MARKER}") if marker.parent.name not in wanted]
    return [*hidden, *archives, *(others if purge else [])]


def remove(path: Path) -> None:
    """Delete a file, or a folder, whose marker goes first: half of it is no model."""
    if path.is_dir():
        (path / MARKER).unlink(missing_ok=True)
        shutil.rmtree(path)
    else:
        path.unlink()


def apply(path: Path, models: list[dict], *, purge: bool, dry: bool) -> tuple[list[str], list[str]]:
    """Have the models; return the names of those whose archive is needed, and what was done."""
    needed, changes = [], []
    if not dry:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    for model in models:
        if not (wrong := differing(path / model["name"], model["files"])):
            continue
        if dry or not install(path, model):
            needed.append(model["name"])
        else:
            changes.append(f"installed {model['name']}, of which {len(wrong)} files were missing or wrong")
    for each in leftovers(path, [model["name"] for model in models], purge=purge):
        changes.append(f"removed {each}")
        if not dry:
            remove(each)
    return needed, changes


def main() -> None:
    """Compare, and install."""
    model = {
        "name": {"type": "str", "required": True},
        "sha256": {"type": "str", "required": True},
        "files": {"type": "dict", "required": True},
    }
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "path": {"type": "path", "required": True},
            "models": {"type": "list", "elements": "dict", "required": True, "options": model},
            "purge": {"type": "bool", "default": False},
        },
    )
    wanted = module.params
    try:
        needed, changes = apply(
            Path(wanted["path"]), wanted["models"], purge=wanted["purge"], dry=module.check_mode
        )
    except (OSError, ValueError, tarfile.TarError) as error:
        module.fail_json(msg=str(error))
    told = "".join(f"{sentence}\n" for sentence in changes)
    module.exit_json(
        changed=bool(changes), needed=needed, changes=changes, diff={"before": "", "after": told}
    )


if __name__ == "__main__":
    main()
