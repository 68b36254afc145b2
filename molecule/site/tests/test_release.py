"""What an operator does with releases, and what people who talk to the bot see of it."""

import json
import os
import re
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest
from hosts import address_of, wait_for_host
from person import Person
from rehearsal import begin, token
from tests.e2e.harness import Telegram

ROOT = Path(__file__).parents[3]
SANDBOX = "http://127.0.0.1:8080"
APP = ("app-1", "app-2")
ANSWER_SECONDS = 90

pytestmark = pytest.mark.timeout(900)  # runs of Ansible over three hosts take minutes on a busy machine


def start(playbook, *arguments):
    """Begin to run one of the playbooks of releases, whose operator waits longer for what fails late."""
    return begin(f"ansible/playbooks/{playbook}.yml", "-e", "release_watch_seconds=1", *arguments)


def ansible(playbook, *arguments, check=True):
    """Run a playbook, and return what it printed."""
    running = start(playbook, *arguments)
    said, _ = running.communicate()
    assert (running.returncode == 0) is check, said[-4000:]
    return said


def read_until(running, line):
    """Wait until a playbook prints a line that begins so."""
    for printed in running.stdout:
        if printed.startswith(line):
            return
    raise AssertionError(f"{line} was not printed")


def inside(host, *command):
    return subprocess.run(
        ("docker", "exec", host, *command), capture_output=True, text=True, check=True
    ).stdout


def containers(host):
    """The app's containers on a host: their names and releases."""
    form = '{{.Names}} {{.Label "aisha.release"}}'
    lines = inside(host, "docker", "ps", "--filter=label=aisha.service", f"--format={form}").splitlines()
    return dict(line.split() for line in lines)


def releases():
    """The releases that run: each service's, the same on both hosts."""
    found = {}
    for host in APP:
        for name, release in containers(host).items():
            found.setdefault(name.split("-")[1], set()).add(release)
    return found


def audit():
    return [json.loads(line) for line in inside("services", "cat", "/var/log/aisha/audit.jsonl").splitlines()]


@pytest.fixture(scope="module")
def answered():
    """A function that says something as somebody who stays the same, and tells whether the bot answers."""
    somebody = Person(Telegram(SANDBOX))
    return lambda text: somebody.is_answered(text, ANSWER_SECONDS)


def test_the_bot_answers(answered):
    assert answered("/start")


def test_each_container_is_confined_and_shows_no_secret():
    secret = token().partition(":")[2]
    for host in APP:
        shown = inside(host, "sh", "-c", "docker inspect $(docker ps -q --filter=label=aisha.service)")
        assert secret not in shown
        for container in json.loads(shown):
            settings = container["HostConfig"]
            assert settings["ReadonlyRootfs"]
            assert settings["CapDrop"] == ["ALL"]
            assert "no-new-privileges" in settings["SecurityOpt"]
            assert settings["RestartPolicy"]["Name"] == "unless-stopped"
            assert not settings["Privileged"]
            assert container["Config"]["User"] == "10001:10001"
            assert "@sha256:" in container["Config"]["Image"]


def test_a_change_of_the_environment_rolls_both_hosts_and_a_second_run_nothing(answered):
    before = releases()
    said = ansible("deploy", "-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "debug"}}', "--check")
    assert "app-1: bot: AISHA_LOG_LEVEL: None -> debug" in said
    assert releases() == before
    ansible("deploy", "-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "debug"}}')
    after = releases()
    assert after["bot"] != before["bot"]
    assert after["worker"] == before["worker"]
    assert [len(each) for each in after.values()] == [1, 1]
    assert "nothing: every host runs its release" in ansible(
        "deploy", "-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "debug"}}'
    )
    assert answered("/help")


def test_going_back_needs_no_argument(answered):
    before = releases()
    listed = re.findall(r"([* ]) (\d{8}-\d{6})", ansible("rollback", "--tags", "list"))
    assert [mark for mark, _ in listed].count("*") == 1
    ansible("rollback")
    after = releases()
    assert after["bot"] != before["bot"]
    assert after["worker"] == before["worker"]
    assert audit()[-1]["action"] == "rollback"
    assert audit()[-1]["result"] == "succeeded"
    assert answered("/start")


@pytest.mark.parametrize(
    ("title", "settings"),
    [
        ("does not start", {"AISHA_DEFAULT_LANGUAGE": "xx"}),
        ("is never ready", {"AISHA_S3_BUCKET": "not-ours"}),
    ],
)
def test_a_bad_release_goes_back_by_itself(title, settings, answered):
    before = releases()
    said = ansible(
        "deploy", "-e", json.dumps({"bot_environment": settings, "bot_ready_seconds": 8}), check=False
    )
    assert "bot stays as it was" in said
    assert "aisha-bot-1-" in said
    assert releases() == before
    assert audit()[-1]["result"] == "failed"
    assert answered("/help")


def test_a_release_that_fails_later_goes_back_too(answered):
    """The worker is rolled after the bot of its host, so that bot has to go back as well."""
    before = releases()
    change = {
        "bot_environment": {"AISHA_LOG_LEVEL": "warning"},
        "worker_environment": {"AISHA_DEFAULT_LANGUAGE": "xx"},
    }
    said = ansible("deploy", "-e", json.dumps(change), check=False)
    assert "bot on app-1 is back at" in said
    assert releases() == before
    assert answered("/start")


def test_a_bot_that_ends_after_it_was_ready_takes_its_release_back(answered):
    before = releases()
    running = start("deploy", "-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "warning"}}')
    read_until(running, "TASK [Begin to bring services to their releases]")
    read_until(running, "TASK [Begin to bring services to their releases]")
    inside(
        "app-1",
        "sh",
        "-c",
        "docker exec $(docker ps -q --filter=name=aisha-bot-1) python3 -c 'import os; os.kill(1, 15)'",
    )
    said, _ = running.communicate()
    assert running.returncode != 0
    assert "after it was ready" in said
    assert releases() == before
    assert answered("/help")


def test_a_host_that_is_gone_in_mid_roll_sends_the_others_back(answered, eventually):
    before = releases()
    running = start("deploy", "-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "error"}}')
    read_until(running, "TASK [Begin to bring services to their releases]")
    read_until(running, "TASK [Begin to bring services to their releases]")
    subprocess.run(("docker", "kill", "app-2"), check=True, capture_output=True)
    said, _ = running.communicate()
    assert running.returncode != 0
    assert "bot on app-1 is back at" in said
    subprocess.run(("docker", "start", "app-2"), check=True, capture_output=True)
    wait_for_host("app-2")
    ansible("deploy")
    assert eventually(lambda: releases() == before)
    assert answered("/help")


def test_a_killed_release_leaves_everything_serving_and_the_next_one_finishes_it(answered):
    change = ("-e", '{"bot_environment": {"AISHA_LOG_LEVEL": "error"}}', "-e", "release_lock_seconds=5")
    running = start("deploy", *change)
    read_until(running, "TASK [Begin to bring services to their releases]")
    os.killpg(running.pid, 9)
    running.wait()
    assert answered("/help")
    said = ansible("deploy", *change)
    assert "did not finish; this run goes on from what it left" in said
    assert [len(each) for each in releases().values()] == [1, 1]
    ansible("rollback")


MIGRATION = '''"""Another table."""

from alembic import op

revision = "9999"
down_revision = "{newest}"
phase = "expand"


def upgrade() -> None:
    """Create it."""
    op.execute("CREATE TABLE later (number integer)")
    op.execute("INSERT INTO later VALUES ({value})")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE later")
'''


def with_a_migration(folder, value):
    """Argument for sources that have one more migration, which inserts the value."""
    subprocess.run(("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder), check=True)
    versions = folder / "app" / "aisha" / "database" / "migrations" / "versions"
    newest = max(versions.glob("*.py")).name.split("_")[0]
    (versions / "9999_later.py").write_text(MIGRATION.format(newest=newest, value=value))
    subprocess.run(("git", "add", "."), cwd=folder, check=True)
    return f"images_source={folder}"


def revision():
    query = ("psql", "--no-align", "--tuples-only", "--command=SELECT version_num FROM alembic_version")
    return inside("services", "runuser", "--user=postgres", "--", *query, "aisha").strip()


def test_a_release_whose_migration_fails_changes_nothing(tmp_path, answered):
    before, schema = releases(), revision()
    said = ansible("deploy", "-e", with_a_migration(tmp_path / "aisha", "1 / 0"), check=False)
    assert "Bring the schema up to date" in said
    assert "division by zero" in said
    assert (releases(), revision()) == (before, schema)
    assert answered("/help")


def test_the_schema_goes_back_with_the_release_when_asked_to(tmp_path, answered):
    before, schema = releases(), revision()
    ansible("deploy", "-e", with_a_migration(tmp_path / "aisha", "1"))
    assert revision() == "9999"
    ansible("rollback", "-e", "schema=true")
    assert (releases(), revision()) == (before, schema)
    assert answered("/start")


class Talk:
    """Somebody who says something all the time, in a thread; every word is to be answered once."""

    def __init__(self, person):
        self.person, self.said, self._over = person, 0, threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _talk(self):
        while not self._over.wait(0.5):
            self.person.says("/help")
            self.said += 1


def webhook():
    """What the sandbox knows of the webhook."""
    with urllib.request.urlopen(f"{SANDBOX}/bot{token()}/getWebhookInfo") as answer:
        return json.loads(answer.read())["result"]


def posts():
    """The address of the bot that took each post, from the proxy's log."""
    lines = [json.loads(line) for line in inside("services", "cat", "/var/log/nginx/access.log").splitlines()]
    return [line["upstream"].split(", ")[-1].split(":")[0] for line in lines if line["upstream"]]


def test_webhooks_go_to_every_host_that_is_not_drained_and_a_change_of_the_mode_loses_nothing(eventually):
    of = {host: address_of(host) for host in APP}

    def takers():
        before = len(posts())
        assert eventually(lambda: len(posts()) > before + 7)
        return set(posts()[before:])

    with Talk(Person(Telegram(SANDBOX), "Bob")) as talk:
        ansible("deploy", "-e", '{"bot_mode": "webhook"}')
        assert webhook()["url"] == "https://aisha.test/webhook"
        assert takers() == set(of.values())
        ansible("nginx", "-e", "drain=app-1")
        assert takers() == {of["app-2"]}
        assert "no other host" in ansible("nginx", "-e", "drain=app-2", check=False)
        ansible("nginx", "-e", "undrain=app-1")
        assert takers() == set(of.values())
        ansible("deploy")
        assert webhook()["url"] == ""
    assert talk.said > 20
    assert eventually(lambda: talk.person.heard == talk.said), (talk.person.heard, talk.said)
