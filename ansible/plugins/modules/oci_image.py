#!/usr/bin/python
"""Make an image of Docker's into a folder in OCI's layout that is the same, to the digest, for the same files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_image
short_description: Make an image of Docker's into an OCI layout that is the same for the same files
description:
  - Docker writes the time of every step into an image, and the time of every file that a step made into its layers. Here all times
    become one, and what else tells of the machine goes, so that equal files give an equal digest on every machine.
  - The first layer, the base, is kept as it is. Compressed layers are kept, and linked into the layouts that have them.
options:
  image: {description: The image of the engine., type: str, required: true}
  layout: {description: The folder to write., type: path, required: true}
  store: {description: 'The folder that keeps compressed layers, on the same disk.', type: path, required: true}
  epoch: {description: The time of everything in it, in seconds since 1970., type: int, required: true}
  labels: {description: The image's labels; those of the engine's image go., type: dict, default: {}}
  history: {description: What to say of each layer., type: list, elements: str, required: true}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Make its digest depend on nothing but files
  oci_image: {image: "aisha-build:1", layout: /var/cache/images/one, store: /var/cache/images/layers, epoch: 1757577600, history: [base, packages, app]}
"""
RETURN = r"""
digest: {description: "The manifest's digest, with its algorithm.", type: str, returned: always}
size: {description: Bytes of all layers, unpacked., type: int, returned: always}
compressed: {description: Bytes that a pull transfers., type: int, returned: always}
layers: {description: Digest and bytes of each layer., type: list, elements: dict, returned: always}
"""

import datetime
import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, cast

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.commands import CommandError, run
from ansible.module_utils.files import take_place

CHUNK = 1024 * 1024
KEPT = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "WorkingDir", "StopSignal", "Volumes")
TIMES = ("mtime", "atime", "ctime")
OCI = "application/vnd.oci.image"


class Hashing:
    """A file to write to that knows its digest and its size."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file, self._sum, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:  # noqa: D102 (as a file)
        self._sum.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:  # noqa: D102
        self._file.flush()

    @property
    def digest(self) -> str:
        """Of what was written."""
        return f"sha256:{self._sum.hexdigest()}"


def without_times(source: IO[bytes], target: IO[bytes], epoch: int) -> None:
    """Copy a layer's tar stream with one time and no names of users in it."""
    with (
        tarfile.open(fileobj=source, mode="r|") as old,
        tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            member.mtime, member.uname, member.gname = epoch, "", ""
            member.pax_headers = {k: v for k, v in member.pax_headers.items() if k not in TIMES}
            new.addfile(member, old.extractfile(member) if member.isreg() else None)


def compress(source: IO[bytes], store: Path, epoch: int | None) -> dict:
    """Write a layer, compressed, into the store, and describe it; `epoch` is None for one that stays as it is."""
    handle, partial = tempfile.mkstemp(dir=store)
    try:
        with os.fdopen(handle, "wb") as file:
            packed = Hashing(file)
            with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=packed, mtime=0) as zipped:
                plain = Hashing(zipped)
                if epoch is None:
                    shutil.copyfileobj(source, plain, CHUNK)
                else:
                    without_times(source, cast("IO[bytes]", plain), epoch)
        Path(partial).replace(store / packed.digest.partition(":")[2])
    except BaseException:
        Path(partial).unlink()
        raise
    return {"diff_id": plain.digest, "digest": packed.digest, "size": packed.size, "unpacked": plain.size}


def known(store: Path, key: str) -> dict | None:
    """Return what a layer became an earlier time, if that is still there."""
    try:
        layer = json.loads((store / f"{key}.json").read_text())
        size = (store / layer["digest"].partition(":")[2]).stat().st_size
    except (OSError, ValueError, KeyError):
        return None
    return layer if size == layer["size"] else None


def layer_of(saved: tarfile.TarFile, name: str, diff_id: str, store: Path, epoch: int | None) -> dict:
    """Return the description of a layer, which is in the store afterwards."""
    key = f"{diff_id.partition(':')[2]}-{epoch}"
    layer = known(store, key)
    if layer is None:
        layer = compress(content(saved, name), store, epoch)
        (store / f"{key}.json").write_text(json.dumps(layer))
    return layer


def content(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    """Return a file of an archive.

    Raises:
        ValueError: it is none.
    """
    if (found := saved.extractfile(name)) is None:
        raise ValueError(f"{name} of the image is no file")
    return found


def saved_layers(saved: tarfile.TarFile) -> tuple[dict, list[tuple[str, str]]]:
    """Return an image's configuration, and of each layer its name in the archive and the digest of its tar."""
    manifest = json.loads(content(saved, "manifest.json").read())[0]
    config = json.loads(content(saved, manifest["Config"]).read())
    return config, list(zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True))


def configuration(config: dict, layers: list[dict], wanted: dict) -> dict:
    """Return OCI's image configuration, with nothing of the machine and of the moment in it."""
    moment = datetime.datetime.fromtimestamp(wanted["epoch"], datetime.UTC)
    created = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    kept = {name: config["config"][name] for name in KEPT if config["config"].get(name)}
    return {
        "created": created,
        "architecture": config["architecture"],
        "os": config["os"],
        "config": kept | {"Labels": wanted["labels"]},
        "rootfs": {"type": "layers", "diff_ids": [layer["diff_id"] for layer in layers]},
        "history": [{"created": created, "created_by": each} for each in wanted["history"]],
    }


def blob(blobs: Path, kind: str, content: dict) -> dict:
    """Write a document and return its descriptor."""
    data = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


def write_layout(folder: Path, store: Path, config: dict, layers: list[dict]) -> str:
    """Write an OCI layout and return the digest of its manifest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for layer in layers:
        name = layer["digest"].partition(":")[2]
        if not (blobs / name).exists():
            os.link(store / name, blobs / name)
    described = [
        {"mediaType": f"{OCI}.layer.v1.tar+gzip", "digest": layer["digest"], "size": layer["size"]}
        for layer in layers
    ]
    written = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": blob(blobs, "config.v1+json", config),
        "layers": described,
    }
    manifest = blob(blobs, "manifest.v1+json", written)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return str(manifest["digest"])


def make(wanted: dict) -> dict:
    """Take the image from the engine and write the layout, as one step.

    Raises:
        ValueError: the image has another number of layers than its history.
        CommandError: the engine does not give it.
    """
    target = Path(wanted["layout"])
    store = Path(wanted["store"])
    for folder in (store, target.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".image-") as work:
        archive = Path(work) / "image.tar"
        run("docker", "save", f"--output={archive}", wanted["image"])
        with tarfile.open(archive) as saved:
            config, names = saved_layers(saved)
            if len(names) != len(wanted["history"]):
                raise ValueError(f"{wanted['image']} has {len(names)} layers, not {len(wanted['history'])}")
            layers = [
                layer_of(saved, name, diff_id, store, wanted["epoch"] if number else None)
                for number, (name, diff_id) in enumerate(names)
            ]
        archive.unlink()
        partial = Path(work) / "layout"
        digest = write_layout(partial, store, configuration(config, layers, wanted), layers)
        take_place(partial, target)
    return {
        "digest": digest,
        "size": sum(layer["unpacked"] for layer in layers),
        "compressed": sum(layer["size"] for layer in layers),
        "layers": [{"digest": layer["digest"], "size": layer["size"]} for layer in layers],
    }


def main() -> None:
    """Make it."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "layout": {"type": "path", "required": True},
            "store": {"type": "path", "required": True},
            "epoch": {"type": "int", "required": True},
            "labels": {"type": "dict", "default": {}},
            "history": {"type": "list", "elements": "str", "required": True},
        }
    )
    try:
        made = make(module.params)
    except CommandError as error:
        module.fail_json(msg=str(error))
    except (OSError, ValueError, KeyError, tarfile.TarError) as error:
        module.fail_json(msg=f"{module.params['image']}: {error}")
    module.exit_json(changed=True, **made)


if __name__ == "__main__":
    main()
