#!/usr/bin/python
"""Pack installed speech models, each into one archive with the digests of its files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: model_pack
short_description: Pack installed speech models for other hosts
description:
  - A model is packed once. What was packed then is what is shipped, whatever becomes of the folder, until another model takes its place there.
options:
  path: {description: The folder of installed models., type: path, required: true}
  names: {description: Those to pack., type: list, elements: str, required: true}
  store: {description: The folder that keeps the archives., type: path, required: true}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Pack the English model
  model_pack: {path: .cache/models, names: [vosk-model-small-en-us-0.15], store: .cache/packed}
"""
RETURN = r"""
models:
  description: The name, the archive with its SHA-256, and the SHA-256 of each file, of every model that is installed.
  type: list
  elements: dict
  returned: always
"""

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.digests import of_file
from ansible.module_utils.files import replacing, write_json

MARKER = "aisha-model.json"


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): of_file(path) for path in paths}


def pack(folder: Path, names: list[str], archive: Path) -> None:
    """Write an archive of the files, the same for the same files, as one step."""
    with (
        replacing(archive) as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(member, file)


def known(record: Path, marker: str) -> dict | None:
    """Return what was packed earlier, if it is still there and of the model that is installed now."""
    try:
        packed = json.loads(record.read_text())
        is_whole = Path(packed["archive"]).stat().st_size == packed["size"]
    except (OSError, ValueError, KeyError):
        return None
    return packed if is_whole and packed["marker"] == marker else None


def packed_model(folder: Path, store: Path, *, dry: bool) -> dict:
    """Return a model, which is packed afterwards."""
    record, archive, marker = (
        store / f"{folder.name}.json",
        store / f"{folder.name}.tar.gz",
        of_file(folder / MARKER),
    )
    if earlier := known(record, marker):
        return earlier
    model: dict[str, Any] = {
        "name": folder.name,
        "files": contents(folder),
        "marker": marker,
        "archive": str(archive),
    }
    if dry:
        return model | {"sha256": "", "size": 0}
    store.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    pack(folder, list(model["files"]), archive)
    model |= {"sha256": of_file(archive), "size": archive.stat().st_size}
    write_json(record, model)
    return model


def main() -> None:
    """Pack them."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "path": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "store": {"type": "path", "required": True},
        },
    )
    path, store = Path(module.params["path"]).resolve(), Path(module.params["store"]).resolve()
    found = [path / name for name in module.params["names"] if (path / name / MARKER).is_file()]
    try:
        models = [packed_model(folder, store, dry=module.check_mode) for folder in found]
    except OSError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, models=models)


if __name__ == "__main__":
    main()
