"""Threads for blocking calls: each user of a service has its own, so a service that hangs holds up nothing else."""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NoReturn, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Threads:
    """At most `count` threads. asyncio's default ones are shared by everything, so they are for no service's calls."""

    def __init__(self, name: str, count: int = 1) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(
        self, call: Callable[Arguments, Result], *args: Arguments.args, **options: Arguments.kwargs
    ) -> Result:
        """Call in a thread, as soon as one is free, and return the result."""
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, partial(call, *args, **options)
        )


def leave() -> NoReturn:
    """End this process, successfully, without the threads: one may wait for a hung service for a minute or two."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
