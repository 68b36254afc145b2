"""The load: updates leave at their times, whether or not earlier ones have been answered.

`python -m tests.bench.roll.generator` reads its settings as one line of JSON, prints a line for each update when it is
done with, and stops when its stdin ends, after the requests under way.
"""

import asyncio
import dataclasses
import gc
import json
import sys
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Any, Self

import uvloop
from tests.bench.roll.client import Client, PostError, Target
from tests.bench.roll.outcomes import Outcome
from tests.bench.roll.updates import body

FIRST_PAUSES_SECONDS = (0, 2, 4, 8, 16, 32)
LONGEST_PAUSE_SECONDS = 60
GIVE_UP_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is sent where, and how often."""

    target: Target
    relay_port: int
    """Where a relay before the target listens on loopback."""

    first_id: int
    rate: float
    """Updates a second."""

    retry: bool = False
    """Whether what was not acknowledged is posted again, as Telegram does."""

    def line(self) -> str:
        """Return them as a line of JSON."""
        return json.dumps(dataclasses.asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> Self:
        """Return what `line` wrote."""
        values: dict[str, Any] = json.loads(line)
        return cls(**values | {"target": Target(**values["target"])})


class Generator:
    """Posts updates at a steady rate.

    1. The schedule is a constant: the time of an update depends on its number and on nothing else.
    2. Half of them open a connection of their own, half use a kept one; half of each go by way of the relay.
    3. An update that was not acknowledged is reported as failed. With `retry` it is posted again at once, then after 2,
       4, ... 60 s or what the answer asks for (Telegram's `WebhookActor.cpp`), and told when it is taken or given up.
    """

    def __init__(self, settings: Settings, tell: Callable[[Outcome], object]) -> None:
        target = settings.target
        self._settings, self._tell = settings, tell
        self._ways = (
            Client(target, target.host, target.port),
            Client(target, "127.0.0.1", settings.relay_port),
        )
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()

    async def run(self) -> None:
        """Post until told to stop, and return when all have ended."""
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as posts:
            while not self._stopping.is_set():
                due = began + number / self._settings.rate
                await asyncio.sleep(max(0, due - time.monotonic()))
                posts.create_task(self._bring(number, due))
                number += 1

    async def _bring(self, number: int, due: float) -> None:
        update_id, kept, relayed = self._settings.first_id + number, number % 2 == 1, number // 2 % 2 == 1
        posted, sent = body(update_id), time.monotonic()
        for attempts, pause in enumerate(chain(FIRST_PAUSES_SECONDS, repeat(LONGEST_PAUSE_SECONDS)), start=1):
            status, error, asked = await self._try(posted, kept=kept, relayed=relayed)
            done = time.monotonic()
            outcome = Outcome(update_id, kept, relayed, due, sent, done, status, error, attempts)
            if outcome.ok or not self._settings.retry or done - due > GIVE_UP_SECONDS:
                self._tell(outcome)
                return
            await asyncio.sleep(asked or pause)

    async def _try(self, posted: bytes, *, kept: bool, relayed: bool) -> tuple[int | None, str | None, int]:
        """Post once; return the status or why there is none, and after how many seconds to post again, if told."""
        try:
            answer = await self._ways[relayed].post(posted, keep=kept)
        except PostError as error:
            return None, str(error), 0
        return answer.status, None, answer.retry_after


async def main() -> None:
    """Run until stdin ends."""
    generator = Generator(Settings.of(sys.stdin.readline()), lambda outcome: sys.stdout.write(outcome.line()))
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), generator.stop)
    gc.freeze()
    await generator.run()


if __name__ == "__main__":
    uvloop.run(main())
