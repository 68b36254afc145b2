"""A work-horse that is forked before there is a job, which then waits neither for the fork nor for the database."""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from aisha.forking import die_with_parent, signals_held


class ReadyHorse:
    """A child of the worker that waits for one job.

    1. It prepares itself, then reads its order from a pipe.
    2. It carries out the order and exits.
    3. If the worker ends first, the pipe closes and the child exits.
    """

    def __init__(self, prepare: Callable[[], None], perform: Callable[[dict[str, Any]], None]) -> None:
        read_end, self._write_end = os.pipe()
        with signals_held():
            self.pid = os.fork()
            if not self.pid:
                self._wait(read_end, prepare, perform)
        os.close(read_end)

    def _wait(
        self, read_end: int, prepare: Callable[[], None], perform: Callable[[dict[str, Any]], None]
    ) -> NoReturn:
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(self._write_end)
            os.setpgrp()
            die_with_parent()
            prepare()
            with os.fdopen(read_end) as orders:
                order = orders.readline()
            if order:
                perform(json.loads(order))
            status = 0
        finally:
            os._exit(status)

    def give(self, **order: str) -> bool:
        """Send the child its order; return whether the child was still alive."""
        try:
            os.write(self._write_end, json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            return False
        finally:
            os.close(self._write_end)
        return True
