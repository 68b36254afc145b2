"""Signals that arrive while a process forks: Python's callbacks around a fork drop what a handler raises there."""

import subprocess
import sys

INTERRUPTED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell has put in the background
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    from aisha.work.horse import ReadyHorse
    child = ReadyHorse(lambda: None, print).pid
    if not child:
        os._exit(0)
    print("lost", flush=True)
except KeyboardInterrupt:
    print("raised", flush=True)
"""


def test_a_signal_during_the_fork_of_a_work_horse_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"raised\n", b"")
