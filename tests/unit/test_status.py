"""How `aisha status` and `aisha trace` describe what they found."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from aisha import settings, status, trace
from aisha.errors import ServiceError

STATE: dict[str, Any] = {
    "messages": {"delivered": 7, "received": 1},
    "outcomes_24_h": {"speech": 6, "silence": 1},
    "jobs": [{"lane": "short", "state": "waiting", "count": 3}],
    "oldest_open": {"id": 9, "state": "received", "seconds": 4},
    "answer_seconds_1_h": {"p50": 0.5, "p95": 2.25},
    "bots": [{"id": "aisha-bot/host-1", "mode": "polling", "leases": ["chores", "poll"], "alive": True}],
    "workers": [{"name": "host-1", "concurrency": 2, "languages": ["en", "fr"], "alive": True}],
    "unhandled": 1,
    "unsent": 2,
}


def printed(state: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=120)
    for table in status.tables(state):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("part", ["delivered", "7", "silence", "short", "waiting", "host-1", "en fr", "yes"])
def test_the_tables_show(part: str) -> None:
    """The name's end is what is shown."""
    assert part in printed(STATE)


def test_the_summary_says_what_is_open_and_how_long_answers_took() -> None:
    assert status.summary(STATE) == [
        "inbox: 1 unhandled, outbox: 2 unsent",
        "oldest open message: 9 (received) for 4 s",
        "answers of the last hour: p50 0.50 s, p95 2.25 s",
    ]


def test_the_summary_of_nothing_says_that_no_worker_is_alive() -> None:
    nothing = {**STATE, "oldest_open": None, "answer_seconds_1_h": None, "workers": []}
    assert status.summary(nothing)[1:] == ["no worker is alive: start `aisha worker`"]
    dead = {**nothing, "workers": [{**STATE["workers"][0], "alive": False}]}
    assert "no worker is alive" in status.summary(dead)[-1]


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def found(**message: Any) -> dict[str, Any]:
    row = {
        "id": 5,
        "kind": "voice",
        "declared_seconds": 3.0,
        "file_size": 9000,
        "language": "en",
        "chat_id": 77,
        "message_id": 8,
        "update_id": 100,
        "state": "delivered",
        "outcome": "speech",
        "error": None,
        "object_key": "recordings/ab/abc",
        **{f"{step}_at": NOW + timedelta(seconds=n) for n, step in enumerate(trace.STEPS)},
        **message,
    }
    job = {
        "id": 6,
        "segment": None,
        "lane": "short",
        "state": "done",
        "dispatches": 1,
        "attempts": 1,
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=2),
        "worker": "host-1",
        "error": None,
    }
    sent = {"part": 0, "shown": 2, "version": 2, "sent_id": 9, "error": None}
    return {"message": row, "inbox": None, "jobs": [job], "outbox": [sent]}


@pytest.mark.parametrize(
    "part",
    ["message 5: voice of 3.0 s, 9000 bytes, language en", "chat 77, message 8, update 100", "outcome speech",
     "recordings/ab/abc", "job 6 (whole, lane short): done", "took 2.000 s", "version 2 of 2 shown as message 9",
     *trace.STEPS],
)  # fmt: skip
def test_a_story_tells(part: str) -> None:
    """The name's end is what is told."""
    assert part in "\n".join(trace.story(found()))


def test_each_step_has_the_delay_behind_the_one_before() -> None:
    steps = [line for line in trace.story(found()) if line.split()[0] in trace.STEPS]
    assert [line.split()[-2] for line in steps] == ["+0.000", *["+1.000"] * 6]


def test_a_step_that_has_not_come_is_a_dash() -> None:
    lines = trace.story(found(delivered_at=None, state="transcribed"))
    assert [line.split() for line in lines if line.split()[0] == "delivered"] == [["delivered", "-"]]


def test_an_error_is_told() -> None:
    assert "error: Forbidden" in "\n".join(trace.story(found(error="Forbidden", state="undeliverable")))


@pytest.mark.parametrize("message", ["-1000000002001/4", "-5/17", "1001/8", "12"])
def test_a_message_of_a_group_can_be_traced_though_its_chat_is_negative(
    message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    monkeypatch.setenv("AISHA_DATABASE_URL", "postgresql://any/where")
    monkeypatch.setattr(trace, "collect", lambda _, wanted: asked.append(wanted) or found())
    for arguments in ([message], ["--json", message], [message, "--json"]):
        assert CliRunner().invoke(trace.trace_command, arguments).exit_code == 0
    assert asked == [message] * 3


@pytest.mark.parametrize("option", ["--jsn", "-j", "-x/4", "-"])
def test_an_option_that_does_not_exist_is_still_refused(option: str) -> None:
    result = CliRunner().invoke(trace.trace_command, [option])
    assert (result.exit_code, "No such option" in result.output) == (2, True)


@pytest.mark.parametrize("collect", [status.collect, lambda url: trace.collect(url, None)])
def test_what_has_stopped_is_not_called_an_unreachable_database(
    collect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AISHA_DATA_DIR", str(tmp_path))
    (tmp_path / "secrets").mkdir()
    gone = "postgresql://127.0.0.1:1/aisha"
    (tmp_path / "secrets" / "environment").write_text(f"AISHA_DATABASE_URL={gone}\n")
    with pytest.raises(ServiceError, match="nothing is running on"):
        collect(settings.load_running().database_address)
    monkeypatch.setenv("AISHA_DATABASE_URL", gone)
    with pytest.raises(ServiceError, match="cannot reach the database of AISHA_DATABASE_URL"):
        collect(settings.load_running().database_address)
