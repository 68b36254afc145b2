"""A steady load over releases, good and bad: every request is answered, and every update is handled once.

Its figures are in .cache/molecule/roll.jsonl afterwards.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SHORTENED = "--requests 5000 --rate 50 --phases deploy bad_image rollback --parts load"


@pytest.mark.timeout(1500)
def test_releases_under_load_lose_and_double_nothing():
    command = (sys.executable, "-m", "tests.bench.roll", *SHORTENED.split())
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = ROOT / ".cache" / "molecule" / "roll.jsonl"
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
