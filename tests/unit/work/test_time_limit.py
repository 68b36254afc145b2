"""A job that takes too long ends its message, at once and for good."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pytest
from rq.timeouts import JobTimeoutException

from aisha.database.jobs import Job
from aisha.database.messages import Message
from aisha.database.statement import Statement
from aisha.errors import DecoderKilledError
from aisha.work.jobs import Horse, Work
from aisha.work.report import Report


class Noting:
    """A connection that only notes what would be done."""

    def __init__(self) -> None:
        self.done: list[Statement[Any]] = []

    def run(self, statement: Statement[Any]) -> None:
        self.done.append(statement)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield


def work(connection: Noting) -> Work:
    horse = Horse(None, {}, None, None, Report(), "worker")  # type: ignore[arg-type]
    job = Job(**{field.name: None for field in fields(Job)} | {"id": 1, "lane": "long"})
    message = Message(**{field.name: None for field in fields(Message)} | {"id": 2})
    return Work(horse, connection, job, message)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [JobTimeoutException("too long"), DecoderKilledError("killed twice")])
def test_its_passing_is_an_outcome(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def read(_: Work) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(Work, "_recording", read)
    work(connection := Noting()).run()
    assert "unreadable" in connection.done[0].values.values()
    assert len(connection.done) == 2
    assert len(tries) == (2 if isinstance(error, DecoderKilledError) else 1)
