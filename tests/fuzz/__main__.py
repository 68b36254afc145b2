"""`make fuzz`: mutated media files against the process that reads strangers' files; `FILES=10000 FROM=0`."""

import json
import os
import sys
import time

from tests.fuzz.run import fuzz

from aisha.speech.media.bounds import Bounds, default_memory
from aisha.speech.media.reader import MediaReader

first, files = int(os.environ.get("FROM") or 0), int(os.environ.get("FILES") or 10_000)
began = time.monotonic()
tally = fuzz(MediaReader(Bounds(default_memory())).start(), range(first, first + files))
print(json.dumps(tally.line() | {"took": round(time.monotonic() - began)}))
sys.exit(bool(tally.lost or tally.crashed))
