#!/usr/bin/python
"""Pack files that git knows into an archive which is the same for the same files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_archive
short_description: Pack files that git knows into an archive which is the same for the same files
description:
  - What lies about beside the files that git tracks is left out; changes to those that are not yet committed are in.
  - Names, contents and whether a file may be run decide its SHA-256. Times, owners and the order on disk do not.
options:
  path: {description: The repository., type: path, required: true}
  files: {description: Files and folders of it that are packed., type: list, elements: str, required: true}
  archive: {description: The tar file to write; without it the SHA-256 is only told., type: path}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Pack the app
  source_archive: {path: /srv/aisha, files: [app, pyproject.toml], archive: /tmp/source.tar}
"""
RETURN = r"""
sha256: {description: The archive's., type: str, returned: always}
files: {description: How many files are in it., type: int, returned: always}
dirty: {description: Whether some differ from the last commit., type: bool, returned: always}
"""

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def git(repository: str, *arguments: str) -> str:
    """Return what git says.

    Raises:
        ValueError: it is no repository, or another user's.
    """
    command = ("git", "-C", repository, *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ValueError("git is not installed") from None
    if done.returncode:
        raise ValueError(f"{repository}: {done.stderr.strip()}")
    return done.stdout


def tracked(repository: str, wanted: list[str]) -> list[str]:
    """Return the files that git tracks and that exist, in the order of their names.

    Raises:
        ValueError: it is no repository, or one of the wanted is not there.
    """
    names = [name for name in git(repository, "ls-files", "-z", "--", *wanted).split("\0") if name]
    names = sorted({name for name in names if (Path(repository) / name).is_file()})
    for each in wanted:
        if not any(name == each or name.startswith(f"{each}/") for name in names):
            raise ValueError(f"{repository} has no {each} that git tracks")
    return names


def pack(repository: str, names: list[str]) -> bytes:
    """Return a tar archive of the files, with no time, owner or place in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            path = Path(repository) / name
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def write(path: Path, data: bytes) -> bool:
    """Write a file as one step unless it is there."""
    if path.exists() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(path)
    return True


def main() -> None:
    """Pack."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "archive": {"type": "path"},
        },
    )
    wanted = module.params
    try:
        names = tracked(wanted["path"], wanted["files"])
        data = pack(wanted["path"], names)
        dirty = bool(git(wanted["path"], "status", "--porcelain", "--", *wanted["files"]))
    except (ValueError, OSError) as error:
        module.fail_json(msg=str(error))
    if wanted["archive"] and not module.check_mode:
        write(Path(wanted["archive"]), data)
    module.exit_json(changed=False, sha256=hashlib.sha256(data).hexdigest(), files=len(names), dirty=dirty)


if __name__ == "__main__":
    main()
