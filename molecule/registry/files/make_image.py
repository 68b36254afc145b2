#!/usr/bin/python3
"""make-image FOLDER MIB: write an image of one layer of random bytes as an OCI layout, and print its digest."""

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

folder, mib = Path(sys.argv[1]), float(sys.argv[2])
shutil.rmtree(folder, ignore_errors=True)
(folder / "blobs" / "sha256").mkdir(parents=True)


def blob(kind, data):
    """Store a blob and return its descriptor."""
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs" / "sha256" / digest).write_bytes(data)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}


content = os.urandom(int(mib * 2**20))
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    member = tarfile.TarInfo("random")
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
layer = blob("layer.v1.tar", archive.getvalue())
rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
config = blob(
    "config.v1+json", json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
)
kind = "application/vnd.oci.image.manifest.v1+json"
manifest = blob(
    "manifest.v1+json",
    json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}).encode(),
)
(folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
(folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
print(manifest["digest"])
