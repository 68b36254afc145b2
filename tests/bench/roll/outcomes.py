"""The outcome of each request, and totals."""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Outcome:
    """One update's outcome, with times in seconds of the machine's monotonic clock."""

    update_id: int
    kept: bool
    """Whether it was to use a kept connection; else a new one."""

    relayed: bool
    scheduled: float
    sent: float
    """When it started; later than scheduled if this machine was late."""

    done: float
    status: int | None
    error: str | None
    attempts: int = 1

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why it was not."""
        return self.error or f"status {self.status}"

    @property
    def kind(self) -> str:
        """The kind of connection."""
        return f"{'kept' if self.kept else 'new'}{', relayed' if self.relayed else ''}"

    @property
    def seconds(self) -> float:
        """Its duration from when it was due, so that waiting to be sent counts."""
        return self.done - self.scheduled

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> Self:
        """Return what `line` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Summary:
    """Many requests: counts, and in seconds how long they took and how late they were sent."""

    sent: int
    ok: int
    failed: int
    repeated: int
    reasons: dict[str, int]
    by_second: dict[int, int]
    """Failures by the second in which they were due, from the first request on."""

    by_kind: dict[str, int]
    """Failures by the kind of connection."""

    p50: float
    p99: float
    longest: float
    late_p99: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Self:
        """Sum up."""
        every = sorted(outcomes, key=lambda one: one.scheduled)
        failed = [one for one in every if not one.ok]
        took = sorted(one.seconds for one in every)
        return cls(
            sent=len(every),
            ok=len(every) - len(failed),
            failed=len(failed),
            repeated=sum(one.attempts > 1 for one in every),
            reasons=dict(Counter(one.reason for one in failed)),
            by_second=dict(Counter(int(one.scheduled - every[0].scheduled) for one in failed)),
            by_kind=dict(Counter(one.kind for one in failed)),
            p50=_part(took, 0.5),
            p99=_part(took, 0.99),
            longest=_part(took, 1),
            late_p99=_part(sorted(one.sent - one.scheduled for one in every), 0.99),
        )


def _part(values: list[float], part: float) -> float:
    """Return the quantile of sorted values; 0 when there are none."""
    return values[math.ceil(part * len(values)) - 1] if values else 0.0
