"""What an operator sees: logs without secrets, health, metrics, `aisha status` and `aisha trace`.

The tree of this module logs everything it can, as JSON.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from harness import AISHA, Telegram, Tree, running, wait_for
from media import voice
from tests.speech import prompts

STEPS = ("received", "stored", "queued", "started", "transcribed", "answered", "delivered")
FAULTS: list[dict[str, Any]] = [
    {"method": "getFile", "kind": "error", "code": 500},
    {"method": "getFile", "kind": "drop_before"},
    {"method": "download", "kind": "error", "code": 502},
    {"method": "download", "kind": "drop_before"},
    {"method": "download", "kind": "error", "code": 404},
    {"method": "sendMessage", "kind": "error", "code": 500},
    {"method": "sendMessage", "kind": "error", "code": 400},
    {"method": "sendMessage", "kind": "drop_after"},
    {"method": "editMessageText", "kind": "error", "code": 400},
    {"method": "getUpdates", "kind": "error", "code": 409},
    {"method": "getUpdates", "kind": "drop_before"},
    {"method": "answerCallbackQuery", "kind": "error", "code": 400},
]
At = tuple[int, int]


@pytest.fixture(scope="module")
def tree(models_dir: Path) -> Iterator[Tree]:
    """`aisha run` that logs for machines, and debugging too."""
    with tempfile.TemporaryDirectory(prefix="aisha-") as folder:
        talkative = {"AISHA_LOG_FORMAT": "json", "AISHA_LOG_LEVEL": "debug"}
        with running(Tree(Path(folder) / "data", models_dir, **talkative)) as started:
            yield started


@pytest.fixture(scope="module")
def telegram(tree: Tree) -> Telegram:
    """People who write to the bot."""
    return Telegram(tree.url)


@pytest.fixture(scope="module")
def heard(tree: Tree, telegram: Telegram, tmp_path_factory: pytest.TempPathFactory) -> At:
    """A voice that was answered; the chat and the message."""
    chat = telegram.person("Speaker")
    sent = telegram.send_file(chat, voice(prompts()[0].path, tmp_path_factory.mktemp("voices")))
    telegram.answer(chat, sent)
    wait_for(lambda: trace(tree)["message"]["state"] == "delivered", 10, "a record of the delivery")
    return chat, sent


@pytest.fixture(scope="module")
def provoked(tree: Tree, telegram: Telegram, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The log after every kind of failure, those with the addresses of files among them."""
    folder = tmp_path_factory.mktemp("provoked")
    for number, fault in enumerate(FAULTS, start=1):
        telegram.call("POST", "/faults", json=fault)
        chat = telegram.person("Provoker")
        sent = telegram.send_file(chat, voice(prompts()[number].path, folder))
        telegram.answer(chat, sent)
        telegram.call("PATCH", f"/chats/{chat}/messages/{sent}", json={"caption": "edited"})
    telegram.call("POST", "/updates", json={"message": {"chat": "none"}})
    telegram.call("POST", "/updates", json={"callback_query": {"id": "1", "data": "x", "chat_instance": "1", "from": {
        "id": 5, "is_bot": False, "first_name": "P"}}})  # fmt: skip
    telegram.next_said(chat, telegram.send_text(chat, "hello"))
    telegram.call("DELETE", "/faults")
    return tree.log.read_text(errors="replace")


def aisha(tree: Tree, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a verb as an operator does who knows nothing but the data folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AISHA_")}
    environment = {**clean, "AISHA_DATA_DIR": str(tree.data_dir)}
    return subprocess.run([AISHA, *arguments], env=environment, capture_output=True, text=True, timeout=60)


def printed(tree: Tree, *arguments: str) -> str:
    """Return what a verb that succeeds prints."""
    done = aisha(tree, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def trace(tree: Tree, *arguments: str) -> dict[str, Any]:
    """Return a message's story as data."""
    found: dict[str, Any] = json.loads(printed(tree, "trace", "--json", *arguments))
    return found


def secrets(tree: Tree) -> dict[str, str]:
    """Return every secret of the tree's processes, the passwords within addresses among them."""
    found = {name: tree.setting(f"AISHA_{name}") for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY")}
    found["BOT_TOKEN"] = (tree.data_dir / "secrets" / "sandbox_token").read_text().strip()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if password := re.search(r"://[^:/@]*:([^@]+)@", tree.setting(f"AISHA_{name}")):
            found[name] = password[1]
    return found


# --- secrets ---------------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_log(tree: Tree, provoked: str) -> None:
    assert [name for name, secret in secrets(tree).items() if secret in provoked] == []


def test_nothing_like_a_token_is_in_the_log(provoked: str) -> None:
    assert re.findall(r"\d{6,}:[A-Za-z0-9_-]{20,}", provoked) == []


def test_the_failures_were_logged_nevertheless(provoked: str) -> None:
    for what in (
        "storing is tried again",
        "Telegram did not answer",
        "cannot be delivered",
        "update ignored",
    ):
        assert what in provoked


def test_every_line_of_the_bot_and_its_workers_is_json(provoked: str) -> None:
    lines = [json.loads(line) for line in provoked.splitlines() if line.startswith("{")]
    assert {"run", "bot", "worker"} <= {line.get("process") for line in lines}
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    strange = [line for line in provoked.splitlines() if not line.startswith(("{", "aisha: "))]
    assert strange == []


def test_no_secret_is_in_any_command_line(tree: Tree, heard: At) -> None:
    """Nor is it in that of a service, which every user of the machine can read."""
    lines = [" ".join(process.cmdline()) for process in tree.processes() if process.status() != "zombie"]
    assert len(lines) > 8
    assert [(name, line) for name, secret in secrets(tree).items() for line in lines if secret in line] == []


def test_secrets_are_in_files_of_their_owner_only(tree: Tree) -> None:
    folder = tree.data_dir / "secrets"
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.iterdir()]} == {0}


# --- logs and traces -------------------------------------------------------------------------------------------


def test_a_messages_id_leads_through_the_log_from_receiving_to_delivering(tree: Tree, heard: At) -> None:
    number = trace(tree, "/".join(map(str, heard)))["message"]["id"]
    lines = [json.loads(line) for line in tree.log.read_text().splitlines() if line.startswith("{")]
    own = [(line["process"], line["event"]) for line in lines if line.get("message") == number]
    story = [("bot", "received"), ("bot", "stored"), ("worker", "transcribed"), ("bot", "delivered")]
    assert [step for step in own if step in story] == story


def test_a_trace_tells_each_step_job_and_message(tree: Tree, heard: At) -> None:
    told = printed(tree, "trace", "/".join(map(str, heard)))
    assert f"chat {heard[0]}, message {heard[1]}" in told
    assert "state delivered, outcome speech" in told
    assert re.search(r"job \d+ \(whole, lane short\): done, .* took \d", told)
    assert "our message, part 0: version 2 of 2 shown as message" in told
    for step in STEPS:
        assert re.search(rf"{step} +\d{{4}}-.*\+\d+\.\d{{3}} s", told), told


def test_a_trace_finds_a_message_by_either_number_and_the_newest_by_none(tree: Tree, heard: At) -> None:
    by_telegram = trace(tree, "/".join(map(str, heard)))
    assert (by_telegram["message"]["chat_id"], by_telegram["message"]["message_id"]) == heard
    assert trace(tree, str(by_telegram["message"]["id"])) == by_telegram
    assert trace(tree)["message"]["id"] >= by_telegram["message"]["id"]
    assert by_telegram["inbox"]["handled_at"]
    assert [job["state"] for job in by_telegram["jobs"]] == ["done"]
    assert [row["shown"] == row["version"] for row in by_telegram["outbox"]] == [True]


@pytest.mark.parametrize(
    "name", ["999999", "1/999999", "no-number", "1/no-number", "99999999999999999999999"]
)
def test_a_trace_of_what_is_not_there_says_so_in_one_line(name: str, tree: Tree, heard: At) -> None:
    done = aisha(tree, "trace", name)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("aisha: no message")


def test_status_shows_messages_outcomes_and_workers(tree: Tree, heard: At) -> None:
    shown = printed(tree, "status")
    for what in (
        "delivered",
        "speech",
        "Open jobs",
        "Workers",
        "inbox: ",
        "outbox: ",
        "answers of the last hour",
    ):
        assert what in shown


def test_status_is_data_with_json(tree: Tree, heard: At) -> None:
    state = json.loads(printed(tree, "status", "--json"))
    assert state["messages"]["delivered"] >= 1
    assert state["outcomes_24_h"]["speech"] >= 1
    assert [(worker["languages"], worker["alive"]) for worker in state["workers"]] == [(["en"], True)]
    assert 0 < state["answer_seconds_1_h"]["p50"] <= state["answer_seconds_1_h"]["p95"]
    assert {"jobs", "oldest_open", "unhandled", "unsent"} <= set(state)


def test_status_without_a_running_tree_names_the_setting(tmp_path: Path) -> None:
    done = subprocess.run(
        [AISHA, "status"],
        env={**os.environ, "AISHA_DATA_DIR": str(tmp_path), "AISHA_DATABASE_URL": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "AISHA_DATABASE_URL" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- health and metrics ----------------------------------------------------------------------------------------


def get(port: int, path: str) -> requests.Response:
    """Ask a health port."""
    return requests.get(f"http://127.0.0.1:{port}{path}", timeout=60)


def test_bot_and_worker_live_and_are_ready(tree: Tree) -> None:
    for port in (tree.health, tree.worker_metrics):
        assert get(port, "/health/live").json() == {"live": True}
        answer = get(port, "/health/ready")
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert get(tree.health, "/health/ready").json()["checks"] == dict.fromkeys(
        ("telegram", "database", "redis", "objects", "presence"), "ok"
    )


SERVICES = {"redis": "valkey-server", "objects": "weed", "database": "postgres"}


def halted(tree: Tree, part: str) -> list[psutil.Process]:
    """Stop a service's processes where they are, as an overloaded machine does."""
    found = tree.named(part)
    for process in found:
        process.send_signal(signal.SIGSTOP)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_bot_is_not_ready_while_it_cannot_reach(service: str, tree: Tree, heard: At) -> None:
    """The name's end is a service that is halted and goes on."""
    processes = halted(tree, SERVICES[service])
    try:
        answer = get(tree.health, "/health/ready")
        live = get(tree.health, "/health/live")
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    checks = answer.json()["checks"]
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert checks[service] != "ok"
    assert [name for name in SERVICES if checks[name] == "ok"] == [
        name for name in SERVICES if name != service
    ]
    assert live.status_code == 200
    wait_for(lambda: get(tree.health, "/health/ready").status_code == 200, 30, "a bot that is ready again")


def test_a_health_answer_about_a_failing_service_has_no_secret(tree: Tree, heard: At) -> None:
    processes = [process for part in SERVICES.values() for process in halted(tree, part)]
    try:
        told = get(tree.health, "/health/ready").text
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    assert [name for name, secret in secrets(tree).items() if secret in told] == []
    wait_for(lambda: get(tree.health, "/health/ready").status_code == 200, 30, "a bot that is ready again")


def stored(tree: Tree, name: str) -> bool:
    """Tell whether a message is known and stored."""
    done = aisha(tree, "trace", "--json", name)
    return done.returncode == 0 and json.loads(done.stdout)["message"]["state"] == "stored"


def test_recordings_are_stored_while_redis_hangs(
    tree: Tree, telegram: Telegram, heard: At, tmp_path: Path
) -> None:
    """A hanging server never answers, so a request to it must not block others."""
    chat = telegram.person("Patient")
    processes = halted(tree, SERVICES["redis"])
    try:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(get, tree.health, "/health/ready") for _ in range(8)]
            sent = [telegram.send_file(chat, voice(clip.path, tmp_path)) for clip in prompts()[20:24]]
            for message_id in sent:
                wait_for(lambda n=message_id: stored(tree, f"{chat}/{n}"), 30, "a stored recording")
            assert {one.result().status_code for one in asked} == {503}
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
    for message_id in sent:
        telegram.answer(chat, message_id)


def documented() -> set[str]:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


@pytest.mark.parametrize("process", ["bot", "worker"])
def test_metrics_have_the_documented_names(process: str, tree: Tree, heard: At) -> None:
    port = tree.health if process == "bot" else tree.worker_metrics
    served = re.findall(r"^# TYPE (aisha_\w+) ", get(port, "/metrics").text, re.MULTILINE)
    names = {name for name in served if not name.endswith("_created")}
    assert names == documented()


def value(port: int, name: str) -> float:
    """Return a metric's value, added up over its labels."""
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", get(port, "/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def test_metrics_count_what_was_done(tree: Tree, heard: At) -> None:
    for name in ("updates_total", "updates_handled_total", "stored_total", "stored_bytes_total",
                 "jobs_dispatched_total", "telegram_sent_total", "answer_seconds_count"):  # fmt: skip
        assert value(tree.health, f"aisha_{name}") >= 1, name
    for name in ("jobs_total", "audio_seconds_total", "decode_seconds_count", "processes"):
        assert value(tree.worker_metrics, f"aisha_worker_{name}") >= 1, name
    assert value(tree.worker_metrics, "aisha_worker_cpu_seconds_total") > 0
