"""The workers of two hosts. The test does a bot's part with the app's own functions: it stores recordings and hands out jobs."""

import asyncio
import contextlib
import io
import itertools
import re
import threading
import time
import wave
from pathlib import Path

import pytest
from app import SERVICES, containers, inside, inspected, liberties, seen_by_others
from hosts import address_of
from plays import play

from aisha.database import jobs, messages
from aisha.database.connect import connect, open_pool
from aisha.lanes import connect as connect_redis
from aisha.lanes import lane_of
from aisha.objects import Objects
from aisha.queue.dispatch import Dispatcher
from aisha.queue.reconcile import Reconciler
from aisha.settings import Settings

ROOT = Path(__file__).parents[3]
WORKERS = ("worker-bookworm", "worker-trixie")
SPEECH = Path("/usr/share/pocketsphinx/test/data/librivox")
SAID = "leisure to consider how much"
CHANGED = {"worker_environment": {"AISHA_LOG_LEVEL": "debug"}}
DONE_SECONDS = 120

testinfra_hosts = list(WORKERS)


def settings():
    """Return how the services are reached from this machine."""
    address = address_of("worker-services")
    passwords = {name: SERVICES[f"services_{name}_password"] for name in ("database", "redis", "s3")}
    return Settings(
        database_url=f"postgresql://aisha:{passwords['database']}@{address}:5432/aisha",
        redis_url=f"rediss://app:{passwords['redis']}@{address}:6379/0",
        s3_endpoint=f"https://{address}:9000",
        s3_access_key="app",
        s3_secret_key=passwords["s3"],
        ca_file=ROOT / ".cache/hosts/worker-ca.pem",
    )


class Bot:
    """What a bot does for the workers: it stores recordings, gives jobs to Redis, and finds those that were lost."""

    def __init__(self):
        self._settings = settings()
        self._objects = Objects(self._settings)
        self._numbers = itertools.count(time.time_ns())
        self._loop = asyncio.new_event_loop()
        self._serving = self._loop.create_task(self._serve())
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()

    def _run(self):
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._serving)

    async def _serve(self):
        redis = connect_redis(self._settings)
        async with open_pool(self._settings.database_address, 8, "test", _admit) as pool:
            await asyncio.gather(
                _every(0.2, Dispatcher(pool, redis).step), _every(2, Reconciler(pool, redis).step)
            )

    def store(self, recording, seconds):
        """Store a recording as one that somebody sent; return its message."""
        number = next(self._numbers)
        key = f"recordings/test/{number}"
        self._objects.put(key, io.BytesIO(recording), len(recording))
        about = dict.fromkeys(("update_id", "chat_id", "message_id", "user_id"), number)
        about |= {"kind": "voice", "file_id": str(number), "file_unique_id": str(number), "file_name": None}
        about |= {
            "language": "en",
            "interface": "en",
            "declared_seconds": seconds,
            "file_size": len(recording),
        }
        with connect(self._settings.database_address) as connection:
            message = connection.only(messages.accept(messages.Received(**about)))
            with connection.transaction():
                connection.run(messages.stored(message, key, len(recording)))
                connection.run(jobs.add(message, number, lane_of(seconds, len(recording)), seconds, key))
        return message

    def job(self, message):
        """Return a message's job, with the text that came of it."""
        ask = "SELECT jobs.*, text FROM jobs JOIN messages ON messages.id = message WHERE message = %s"
        with connect(self._settings.database_address) as connection:
            return connection.execute(ask, [message]).fetchone()

    def wait_for(self, message, state):
        """Return the job when it is in a state, or as it is when that does not come."""
        until = time.monotonic() + DONE_SECONDS
        while (job := self.job(message))["state"] != state and time.monotonic() < until:
            time.sleep(0.05)
        return job


async def _admit(connection):
    """Let every session in: a lone bot has no other to be told from."""


async def _every(seconds, step):
    while True:
        await step()
        await asyncio.sleep(seconds)


@pytest.fixture(scope="module")
def bot():
    with Bot() as running:
        yield running


def sentence():
    """Return a recording of 7 s."""
    return (SPEECH / "sense_and_sensibility_01_austen_64kb-0870.wav").read_bytes(), 7


def paragraph():
    """Return a recording of 25 s, which takes seconds to transcribe."""
    joined = io.BytesIO()
    with wave.open(joined, "wb") as whole:
        for path in sorted(SPEECH.glob("*.wav")):
            with wave.open(str(path)) as part:
                if not whole.getnframes():
                    whole.setparams(part.getparams())
                whole.writeframes(part.readframes(part.getnframes()))
    return joined.getvalue(), 25


def everywhere():
    """The workers of every host."""
    return {host: containers(host, "worker") for host in WORKERS}


@contextlib.contextmanager
def alone(host):
    """Have the workers of all other hosts stopped."""
    stopped = {other: containers(other, "worker") for other in WORKERS if other != host}
    for other, names in stopped.items():
        inside(other, "docker", "stop", *names)
    yield
    for other, names in stopped.items():
        inside(other, "docker", "start", *names)


def test_a_worker_may_do_nothing_but_its_work(host):
    (container,) = inspected(host.backend.host, "worker")
    assert liberties(host, container, "/opt/aisha/here", "/var/lib/aisha/models/here") == []
    assert "@sha256:" in container["Config"]["Image"]


def test_no_secret_is_where_others_see_it(host):
    passwords = [value for name, value in SERVICES.items() if name.endswith("_password")]
    assert seen_by_others(host, [SERVICES["services_pull"]["password"], *passwords]) == {}


def test_a_recording_is_transcribed_though_its_worker_is_killed_and_its_host_restarted(host, bot, reboot):
    name = host.backend.host
    before = containers(name, "worker")
    with alone(name):
        assert SAID in bot.wait_for(bot.store(*sentence()), "done")["text"]
        (container,) = inspected(name, "worker")
        killed = bot.store(*paragraph())
        bot.wait_for(killed, "started")
        host.run_test("kill -KILL %s", str(container["State"]["Pid"]))
        assert SAID in bot.wait_for(killed, "done")["text"]
        restarted = bot.store(*paragraph())
        bot.wait_for(restarted, "started")
        reboot()
        assert SAID in bot.wait_for(restarted, "done")["text"]
    assert bot.job(killed)["attempts"] == 2
    assert containers(name, "worker") == before


def horses(host):
    """The processes on a host that transcribe, or wait for something to transcribe: grandchildren of the container's first."""
    (container,) = inspected(host, "worker")
    children = inside(host, "pgrep", "--parent", str(container["State"]["Pid"])).split()
    return inside(host, "pgrep", "--parent", ",".join(children)).split()


def test_a_release_leaves_a_recording_to_the_old_worker_and_the_new_one_serves(bot, eventually):
    host = "worker-bookworm"
    with alone(host):
        (old,) = containers(host, "worker").values()
        begun = bot.store(*paragraph())
        bot.wait_for(begun, "started")
        stopped = horses(host)
        inside(host, "kill", "-STOP", *stopped)
        run = play(limit=host, **CHANGED)
        assert run.succeeded, run.said
        assert SAID in bot.wait_for(bot.store(*sentence()), "done")["text"]
        assert bot.job(begun)["state"] == "started"
        (new,) = set(containers(host, "worker").values()) - {old}
        inside(host, "sh", "-c", f"kill -CONT {' '.join(stopped)} || true")  # who had nothing to do has ended
        job = bot.wait_for(begun, "done")
        assert SAID in job["text"]
        assert (job["attempts"], job["dispatches"]) == (1, 1)
        assert eventually(lambda: set(containers(host, "worker").values()) == {new})


def test_a_run_changes_only_the_host_that_does_not_run_the_release(eventually):
    before = everywhere()
    run = play(**CHANGED)
    assert run.succeeded, run.said
    assert run.changes[0] == 0
    assert run.changes[1] > 0
    assert eventually(lambda: len(containers("worker-trixie", "worker")) == 1)
    after = everywhere()
    assert after["worker-bookworm"] == before["worker-bookworm"]
    assert after["worker-trixie"] != before["worker-trixie"]


def test_missing_models_fail_the_run_by_name_and_the_worker_goes_on(bot):
    before = everywhere()
    inside("worker-trixie", "mkdir", "-p", "/srv/empty")
    folders = {"worker-bookworm": "/srv/missing", "worker-trixie": "/srv/empty"}
    change = {"folders": folders, "worker_models": "{{ folders[inventory_hostname] }}"}
    run = play(**CHANGED | change)
    assert not run.succeeded
    assert re.findall(r"failed=(\d)", run.said) == ["1", "1"]
    assert "/srv/missing" in run.said
    assert "/srv/empty" in run.said
    assert everywhere() == before
    assert SAID in bot.wait_for(bot.store(*sentence()), "done")["text"]


def test_what_cannot_work_is_refused_before_anything_changes():
    wrong = {
        "worker_image": "registry:5000/aisha:latest",
        "worker_environment": {"AISHA_S3_SECRET_KEY": "readable"},
        "worker_database_url": "",
        "worker_redis_url": "",
        "worker_s3_endpoint": "",
        "worker_s3_access_key": "",
        "worker_s3_secret_key": "",
    }
    before = everywhere()
    run = play(**wrong)
    assert not run.succeeded
    assert set(run.changes) == {0}
    assert [name for name in wrong if name not in run.said] == []
    assert everywhere() == before
