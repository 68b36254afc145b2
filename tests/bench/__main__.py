"""`make bench`: one JSON line per figure, with the command that made it; `make bench ONLY=answer` for one group."""

import json
import os

from tests.bench import bots, decoding, fairness, media, running

for measure in (*running.FIGURES, *decoding.FIGURES, *bots.FIGURES, *fairness.FIGURES, *media.FIGURES):
    if os.environ.get("ONLY", measure.__name__) == measure.__name__:
        for line in measure():
            print(json.dumps(line), flush=True)
