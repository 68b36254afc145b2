"""What processes of this release and of the one before hand to each other while a roll or a rollback is on its way."""

from typing import Any

import pytest
from rq import Queue
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from aisha.database.jobs import Dispatch
from aisha.lanes import LANES
from aisha.queue import dispatch
from aisha.speech.level import Level
from aisha.speech.transcript import Transcript, Word
from aisha.work import jobs

PATH_OF_BOTH = "aisha.transcribe.jobs.run"


def test_a_job_that_either_release_has_queued_is_done_by_this_one() -> None:
    assert import_attribute(PATH_OF_BOTH) is jobs.run


def test_a_job_is_queued_as_the_release_before_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    queued: list[Any] = []
    monkeypatch.setattr(Queue, "enqueue_many", lambda _, data: queued.extend(data))
    queue = Queue("short", connection=object(), serializer=JSONSerializer)
    dispatch._enqueue_all(queue, [Dispatch(7, 1, 5.0, "short", 3)])
    assert [(job.func, job.args, job.kwargs) for job in queued] == [(PATH_OF_BOTH, [7], None)]


def test_both_releases_serve_the_same_lanes() -> None:
    assert LANES == ("short", "long")


def test_a_segment_that_one_release_has_recognised_is_joined_by_the_other() -> None:
    stored = {"duration": 1.5, "level": [1.5, 0.25, 0.9, 1.0], "words": [["ten", 0.25, 0.5, 0.75]]}
    transcript = Transcript((Word("ten", 0.25, 0.5, 0.75),), 1.5, Level(1.5, 0.25, 0.9, 1.0))
    assert transcript.to_json() == stored
    assert Transcript.from_json(stored) == transcript
