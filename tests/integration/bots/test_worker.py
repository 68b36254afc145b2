"""A worker that is told to stop: its work is finished or requeued, and never counted as a failure."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from redis import Redis
from rq import Queue
from rq.job import JobStatus
from rq.serializers import JSONSerializer
from tests.e2e.media import write
from tests.integration.bots.harness import AISHA, App, Worker, until
from tests.speech import prompts

from aisha.speech.audio import blocks

RECORDINGS = 6
PIECE_SECONDS = 50


@pytest.fixture
async def start(app: App, models_dir: Path) -> AsyncIterator[list[Worker]]:
    """Workers that a test has started; they are killed at its end."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        if worker.process.poll() is None:
            os.kill(worker.process.pid, signal.SIGKILL)
            worker.process.wait()


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Different recordings, each too short for segments and long enough to be interrupted."""
    folder = tmp_path_factory.mktemp("recordings")
    speech = np.concatenate([block for clip in prompts() for block in blocks(clip.path)])
    length = PIECE_SECONDS * 16_000
    pieces = [np.resize(np.roll(speech, -n * length // 2), length) for n in range(RECORDINGS)]
    return [write(folder / f"{n}.ogg", piece) for n, piece in enumerate(pieces)]


async def send(app: App, recordings: list[Path]) -> int:
    """Have a person send them all; return the chat."""
    chat = await app.control.user()
    for recording in recordings:
        await app.control.ask("POST", f"/chats/{chat}/messages", kind="voice", path=str(recording))
    return chat


async def states(app: App) -> list[str]:
    return [row["state"] for row in await app.query("SELECT state FROM jobs ORDER BY id")]


async def test_a_worker_finishes_what_runs_takes_nothing_new_and_ends(
    app: App, start: list[Worker], recordings: list[Path], models_dir: Path
) -> None:
    start.append(Worker(app, models_dir))
    await app.bot().ready()
    worker = await start[0].ready()
    assert (await worker.readiness())[1] == dict.fromkeys(("workers", "database", "redis", "objects"), "ok")
    await send(app, recordings)
    await until(lambda: _any(app, "started"), "a job that runs")
    worker.process.terminate()
    assert await worker.ended() == 0
    left = await states(app)
    assert "started" not in left
    assert "done" in left
    assert set(left) & {"waiting", "queued"}
    assert await app.query("SELECT * FROM workers") == []


async def test_a_worker_without_time_to_finish_gives_its_jobs_back_unblamed(
    app: App, start: list[Worker], recordings: list[Path], models_dir: Path
) -> None:
    await app.bot().ready()
    start.append(Worker(app, models_dir, AISHA_DRAIN_SECONDS="0"))
    await start[0].ready()
    chat = await send(app, recordings[:2])
    await until(lambda: _any(app, "started"), "a job that runs")
    start[0].process.terminate()
    assert await start[0].ended() == 0
    given_back = await app.query("SELECT attempts FROM jobs WHERE error = 'its worker was stopped'")
    assert given_back == [{"attempts": 0}] * len(given_back) != []
    start.append(Worker(app, models_dir))
    await until(lambda: _all(app, "done"), "another worker to do them")
    await until(lambda: app.answers(chat) == 2, "the answers")
    await asyncio.sleep(1)
    assert app.answers(chat) == 2


async def test_cutting_waits_while_too_many_segments_are_unfinished_and_then_goes_on(
    app: App, start: list[Worker], models_dir: Path, tmp_path: Path
) -> None:
    await app.bot().ready()
    others = "INSERT INTO workers VALUES ('others', 7, '{en}', now() + interval '1 hour')"
    await app.query(others)  # which makes the segments short
    start.append(Worker(app, models_dir, AISHA_UNFINISHED_SEGMENTS_PER_USER="2"))
    silence = np.random.default_rng(1).integers(-3, 4, 130 * 16_000, dtype=np.int16)
    chat = await send(app, [write(tmp_path / "lecture.ogg", silence)])
    most = 0

    async def answered() -> bool:
        nonlocal most
        counted = "SELECT count(*) AS count FROM jobs WHERE segment IS NOT NULL AND state <> 'done'"
        most = max(most, (await app.query(counted))[0]["count"])
        return app.answers(chat) == 1

    await until(answered, "the answer")
    assert most == 2
    [job] = await app.query("SELECT dispatches, attempts FROM jobs WHERE segment IS NULL")
    assert job["dispatches"] > job["attempts"] == 1
    assert (await app.query("SELECT segments > 2 AS more FROM messages"))[0]["more"]


async def test_a_worker_that_cannot_reach_a_service_says_which(
    app: App, start: list[Worker], models_dir: Path
) -> None:
    start.append(Worker(app, models_dir, AISHA_S3_SECRET_KEY="wrong"))
    await until(lambda: _blames_objects(start[0]), "a worker that is not ready")


async def test_a_job_that_the_release_before_has_queued_is_done(
    app: App, start: list[Worker], models_dir: Path
) -> None:
    """Redis carries that release's path of the function; a path that no release has is the counter-proof."""
    start.append(Worker(app, models_dir))
    await start[0].ready()
    with Redis.from_url(app.environment["AISHA_REDIS_URL"]) as redis:
        queue = Queue("short", connection=redis, serializer=JSONSerializer)
        known = queue.enqueue("aisha.transcribe.jobs.run", 0, result_ttl=60)
        unknown = queue.enqueue("aisha.elsewhere.run", 0, failure_ttl=60)
        await until(
            lambda: known.get_status() == JobStatus.FINISHED, "the job", lambda: str(known.get_status())
        )
        await until(
            lambda: unknown.get_status() == JobStatus.FAILED, "the other", lambda: str(unknown.get_status())
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a PID namespace")
@pytest.mark.parametrize("seconds", [0, 0.5, 1, 1.5, 2, 2.5])
async def test_a_containers_first_process_can_be_stopped_while_it_starts(
    app: App, models_dir: Path, seconds: float
) -> None:
    process = subprocess.Popen(
        ["unshare", "--pid", "--fork", AISHA, "worker"],
        env=app.environment | {"AISHA_MODELS_DIR": str(models_dir), "AISHA_WORKER_METRICS_PORT": "0"},
    )
    first = (await until(lambda: psutil.Process(process.pid).children(), "the process"))[0]
    await until(lambda: _handles(first.pid, signal.SIGTERM), "Python to have started")
    await asyncio.sleep(seconds)
    first.terminate()
    await until(lambda: process.poll() is not None, "its end")
    assert process.wait() in (0, 128 + signal.SIGTERM)


def _handles(pid: int, number: int) -> bool:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(lines["SigCgt"], 16) >> (number - 1) & 1)


async def _blames_objects(worker: Worker) -> bool:
    status, checks = await worker.readiness()
    return status == 503 and checks.get("objects", "ok") != "ok" and checks.get("database") == "ok"


async def _any(app: App, state: str) -> bool:
    return state in await states(app)


async def _all(app: App, state: str) -> bool:
    return set(await states(app)) == {state}
