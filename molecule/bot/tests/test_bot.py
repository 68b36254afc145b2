"""The bots of two hosts as people, operators and strangers find them; the sandbox stands for Telegram."""

import contextlib
import json
import re
import threading
import urllib.error
import urllib.request

import pytest
from app import SERVICES, containers, inside, inspected, liberties, seen_by_others
from hosts import address_of
from person import Person
from plays import play
from rehearsal import token
from tests.e2e.harness import Telegram

TELEGRAM = Telegram("http://127.0.0.1:8090")
BOTS = {"bot-bookworm": 1, "bot-trixie": 2}
"""How many run on each host."""

WEBHOOK_SECRET = "a-webhook-secret-of-32-letters_3e8"
WEBHOOK = {"bot_mode": "webhook", "bot_environment": {"AISHA_LOG_LEVEL": "debug"}}

testinfra_hosts = list(BOTS)


@pytest.fixture
def answered():
    """Return a function that says something as somebody new, and tells whether the bot answers."""
    return lambda: Person(TELEGRAM).is_answered("/start")


def everywhere():
    """The containers of every host, also those that ended."""
    return {host: containers(host, "bot", "--all") for host in BOTS}


def port_of(host, container, inner):
    """The port of the host at which a container's port is published."""
    said = inside(host, "docker", "port", container, f"{inner}/tcp")
    return int(re.search(r":(\d+)$", said.splitlines()[0])[1])


def is_ready(address, port):
    """Tell whether a bot says at a published port that it is ready."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/health/ready", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def all_ready():
    """Tell whether every bot of every host is ready."""
    return all(
        is_ready(address_of(host), port_of(host, name, 8081))
        for host in BOTS
        for name in containers(host, "bot")
    )


@contextlib.contextmanager
def alone(host):
    """Have the bots of all other hosts stopped."""
    stopped = {other: containers(other, "bot") for other in BOTS if other != host}
    for other, names in stopped.items():
        inside(other, "docker", "stop", *names)
    yield
    for other, names in stopped.items():
        inside(other, "docker", "start", *names)


def secrets():
    """Every secret that the role was given."""
    given = [str(value) for name, value in SERVICES.items() if name.endswith("_password")]
    return [token().partition(":")[2], WEBHOOK_SECRET, SERVICES["services_pull"]["password"], *given]


def test_a_bot_answers(answered):
    assert answered()


def test_a_bot_may_do_nothing_but_its_work(host):
    for container in inspected(host.backend.host, "bot"):
        assert liberties(host, container, "/opt/aisha/here") == []
        assert "@sha256:" in container["Config"]["Image"]


def test_no_secret_is_where_others_see_it(host):
    assert seen_by_others(host, secrets()) == {}


def test_a_bot_is_back_after_a_crash_and_after_a_reboot(host, reboot, answered, eventually):
    name = host.backend.host
    before = containers(name, "bot")
    with alone(name):
        for container in inspected(name, "bot"):
            host.run_test("kill -KILL %s", str(container["State"]["Pid"]))
        assert answered()
        reboot()
        assert answered()
    assert containers(name, "bot") == before
    assert eventually(all_ready)


def test_a_run_after_a_crash_changes_nothing():
    """Docker counts a container's restarts; earlier ones are no reason to reject it for ever."""
    before = everywhere()
    pids = [str(each["State"]["Pid"]) for each in inspected("bot-bookworm", "bot")]
    inside("bot-bookworm", "kill", "-KILL", *pids)
    run = play()
    assert run.succeeded, run.said
    assert run.changes == [0, 0]
    assert everywhere() == before


def test_a_bot_that_somebody_ended_is_started_by_the_next_run(answered):
    before = containers("bot-trixie", "bot")
    inside("bot-trixie", "docker", "kill", "aisha-bot-2-a")
    assert answered()
    run = play(limit="bot-trixie")
    assert run.succeeded, run.said
    after = containers("bot-trixie", "bot")
    assert after.keys() == before.keys()
    assert after["aisha-bot-1-a"] == before["aisha-bot-1-a"]


def poller():
    """The bots that ask Telegram, as they know it."""
    said = inside("bot-trixie", "docker", "exec", "aisha-bot-1-a", "aisha", "status", "--json")
    bots = [bot for bot in json.loads(said)["bots"] if bot["alive"]]
    assert len(bots) == sum(BOTS.values())
    return [bot["id"] for bot in bots if "poll" in bot["leases"]]


def test_one_bot_asks_telegram_and_the_others_stand_by(answered, eventually):
    assert eventually(all_ready)
    (before,) = poller()
    inside("bot-trixie", "docker", "exec", "aisha-bot-1-a", "aisha", "handover")
    (after,) = poller()
    assert after != before
    assert answered()


class Watch:
    """Looks at a host all the time, in a thread, and counts when no bot of it was ready."""

    def __init__(self, host):
        self._address, self._ports = address_of(host), range(8200, 8200 + 2 * BOTS[host])
        self.looks = self.gaps = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        while not self._over.wait(0.2):
            # A second look finds the new one when the first was too early for it and too late for the old one.
            self.gaps += not (self._any() or self._any())
            self.looks += 1

    def _any(self):
        return any(is_ready(self._address, port) for port in self._ports)


def test_a_change_starts_the_new_bots_before_the_old_ones_end(answered):
    before = everywhere()
    with Watch("bot-bookworm") as bookworm, Watch("bot-trixie") as trixie:
        run = play(**WEBHOOK)
    assert run.succeeded, run.said
    after = everywhere()
    assert (bookworm.gaps, trixie.gaps) == (0, 0)
    assert min(bookworm.looks, trixie.looks) > 10
    assert {host: len(found) for host, found in after.items()} == BOTS
    for host in BOTS:
        assert not set(before[host].values()) & set(after[host].values())
        assert all("AISHA_LOG_LEVEL=debug" in each["Config"]["Env"] for each in inspected(host, "bot"))


def post(host, container, update, secret):
    """Post an update to a bot as Telegram does; return the status of the answer."""
    url = f"http://{address_of(host)}:{port_of(host, container, 8080)}/webhook"
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
    request = urllib.request.Request(url, json.dumps(update).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_every_bot_takes_a_webhook_with_the_secret_and_no_other(eventually):
    """Nobody looks the webhook's name up here, so the test carries Telegram's update."""
    for host in BOTS:
        for container in containers(host, "bot"):
            bob = Person(TELEGRAM, "Bob")
            bob.says("/help")
            waiting = TELEGRAM.call("GET", "/updates")["updates"]
            (update,) = [
                each for each in waiting if each.get("message", {}).get("chat", {}).get("id") == bob.chat
            ]
            assert post(host, container, update, "another-secret-of-32-letters_3e8") == 401
            assert post(host, container, update, "") == 401
            assert post(host, container, update, WEBHOOK_SECRET) == 200
            assert eventually(lambda bob=bob: bob.heard == 1)


def test_a_release_that_does_not_start_or_is_never_ready_changes_nothing_that_runs(eventually):
    before = everywhere()
    wrong = {
        "bot-bookworm": {"AISHA_DEFAULT_LANGUAGE": "xx"},
        "bot-trixie": {"AISHA_BOT_API_URL": "http://127.0.0.1:9"},
    }
    change = {"wrong": wrong, "bot_environment": "{{ wrong[inventory_hostname] }}", "bot_ready_seconds": 20}
    run = play(**WEBHOOK | change)
    assert not run.succeeded
    assert "at its start" in run.said
    assert "AISHA_DEFAULT_LANGUAGE: " in run.said
    assert "is not ready after 20 s" in run.said
    assert "getMe does not succeed" in run.said
    assert everywhere() == before
    assert eventually(all_ready)


def test_an_image_that_the_registry_does_not_have_is_named():
    before = everywhere()
    image = f"{address_of('bot-services')}:5000/aisha@sha256:{'0' * 64}"
    run = play(limit="bot-trixie", **WEBHOOK | {"bot_image": image})
    assert not run.succeeded
    assert image in run.said
    assert everywhere() == before


def test_a_second_run_changes_nothing_even_after_releases_that_failed():
    before = everywhere()
    run = play(**WEBHOOK)
    assert run.succeeded, run.said
    assert run.changes == [0, 0]
    assert everywhere() == before


def test_what_cannot_work_is_refused_before_anything_changes():
    wrong = {
        "bot_image": "registry:5000/aisha:latest",
        "bot_token": "no-token",
        "bot_instances": 11,
        "bot_mode": "webhook",
        "bot_webhook_url": "http://bots.test/webhook",
        "bot_webhook_secret": "short",
        "bot_environment": {"AISHA_BOT_TOKEN": "1:readable"},
        "bot_database_url": "",
        "bot_redis_url": "",
        "bot_s3_endpoint": "",
        "bot_s3_access_key": "",
        "bot_s3_secret_key": "",
    }
    before = everywhere()
    run = play(**wrong)
    assert not run.succeeded
    assert set(run.changes) == {0}
    assert [name for name in wrong if name != "bot_mode" and name not in run.said] == []
    assert everywhere() == before
