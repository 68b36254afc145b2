#!/usr/bin/python3
"""make-vendor FOLDER: write a vendor's site with one Turkish model, of bytes that mean nothing."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

NAME = "vosk-model-small-tr-0.3"
folder = Path(sys.argv[1]) / "models"
folder.mkdir(parents=True, exist_ok=True)
archive = folder / f"{NAME}.zip"
with zipfile.ZipFile(archive, "w") as zipped:
    zipped.writestr(f"{NAME}/am/final.mdl", bytes(range(256)) * 4096)
    zipped.writestr(f"{NAME}/conf/model.conf", "--beam=10\n")
data = archive.read_bytes()
entry = {"name": NAME, "lang": "tr", "md5": hashlib.md5(data).hexdigest(), "size": len(data)}
(folder / "model-list.json").write_text(json.dumps([entry]))
