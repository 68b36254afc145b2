"""The load of `make bench-roll` sends what it should, when it should, and reports each request's outcome."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from aiogram.types import Update
from tests.bench.roll.generator import Generator, Settings
from tests.bench.roll.load import Load
from tests.bench.roll.outcomes import Outcome, Summary
from tests.bench.roll.relay import Relay
from tests.bench.roll.updates import ANSWERED_EVERY, body, is_answered
from tests.unit.bench.server import OK, Request, Server, serving

RATE = 200
FIRST_ID = 1_700_000_000_000_000
DELAY_SECONDS = 0.05


async def loaded(server: Server, enough: Callable[[list[Outcome]], bool], **settings: bool) -> list[Outcome]:
    """Post to a server until its outcomes, or its requests, are enough; return all outcomes."""
    relay = Relay(server.target.host, server.target.port, DELAY_SECONDS)
    outcomes: list[Outcome] = []
    generator = Generator(
        Settings(server.target, await relay.start(), FIRST_ID, RATE, **settings), outcomes.append
    )
    running = asyncio.create_task(generator.run())
    while not enough(outcomes) and not running.done():
        await asyncio.sleep(0.01)
    generator.stop()
    await running
    return sorted(outcomes, key=lambda one: one.update_id)


def at_least(number: int) -> Callable[[list[Outcome]], bool]:
    return lambda outcomes: len(outcomes) >= number


async def test_every_request_is_a_telegram_update_of_its_own_with_the_secret(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        outcomes = await loaded(server, at_least(120))
    posted = [Update.model_validate_json(request.body) for request in server.requests]
    assert sorted(update.update_id for update in posted) == [one.update_id for one in outcomes]
    assert all(update.message and update.message.text for update in posted)
    assert {request.secret for request in server.requests} == {"a-secret"}
    assert Summary.of(outcomes).failed == 0


def test_some_updates_are_of_private_chats_which_are_nobody_elses() -> None:
    chats = [json.loads(body(FIRST_ID + number))["message"]["chat"] for number in range(20 * ANSWERED_EVERY)]
    private = [chat["id"] for chat in chats if chat["type"] == "private"]
    assert len(set(private)) == len(private) == 20
    assert all(is_answered(each) for each in private)


async def test_half_of_the_requests_have_a_connection_of_their_own_and_half_of_each_go_by_the_relay(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server:
        outcomes = await loaded(server, at_least(200))
    kinds = Counter(one.kind for one in outcomes)
    assert kinds.keys() == {"new", "kept", "new, relayed", "kept, relayed"}
    assert max(kinds.values()) - min(kinds.values()) <= 1
    own = kinds["new"] + kinds["new, relayed"]
    assert sum(request.closes for request in server.requests) == own
    assert own < server.connections < len(outcomes)


async def test_a_server_that_answers_nothing_does_not_slow_the_load(tmp_path: Path) -> None:
    """Answers are held back until more requests have come than a closed-loop load would ever send."""
    everybody = asyncio.Event()

    async def hold(request: Request) -> bytes:
        if request.of_all >= 150:
            everybody.set()
        await everybody.wait()
        return OK

    async with serving(tmp_path, hold) as server:
        outcomes = await loaded(server, at_least(1))
    assert Summary.of(outcomes).failed == 0
    steps = {round(b.scheduled - a.scheduled, 6) for a, b in itertools.pairwise(outcomes)}
    assert steps == {1 / RATE}


async def test_time_is_counted_from_when_a_request_was_due(tmp_path: Path) -> None:
    """The event loop stands still, so what was due meanwhile is late, and each answer takes no time."""
    async with serving(tmp_path) as server:
        stall = asyncio.get_running_loop().call_later(0.2, time.sleep, 0.5)
        outcomes = await loaded(server, at_least(150))
        stall.cancel()
    assert max(one.sent - one.scheduled for one in outcomes) >= 0.4
    assert all(one.seconds >= one.sent - one.scheduled for one in outcomes)


async def test_the_relay_adds_its_delay_there_and_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        outcomes = await loaded(server, at_least(200))
    assert min(one.seconds for one in outcomes if one.relayed) >= 2 * DELAY_SECONDS
    assert min(one.seconds for one in outcomes if one.relayed and not one.kept) >= 6 * DELAY_SECONDS


async def test_a_refusal_is_counted_by_its_status(tmp_path: Path) -> None:
    async def refuse_some(request: Request) -> bytes:
        return OK if request.of_all % 10 else b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad"

    async with serving(tmp_path, refuse_some) as server:
        outcomes = await loaded(server, at_least(200))
    refused = sum(request.of_all % 10 == 0 for request in server.requests)
    summary = Summary.of(outcomes)
    assert (summary.sent, summary.ok) == (len(server.requests), len(server.requests) - refused)
    assert summary.reasons == {"status 502": refused}
    assert sum(summary.by_second.values()) == sum(summary.by_kind.values()) == refused


async def test_a_kept_connection_that_ends_under_a_request_is_counted_and_nothing_is_sent_again(
    tmp_path: Path,
) -> None:
    async def third_is_last(request: Request) -> bytes:
        return b"" if request.of_connection == 2 else OK

    async with serving(tmp_path, third_is_last) as server:
        outcomes = await loaded(server, at_least(200))
    summary, ended = Summary.of(outcomes), [one for one in server.requests if one.of_connection == 2]
    assert summary.failed == len(ended) > 0
    assert all(reason.endswith(", reused") for reason in summary.reasons)
    assert summary.by_kind.keys() <= {"kept", "kept, relayed"}
    assert len({request.body for request in server.requests}) == len(server.requests)


async def test_a_kept_connection_that_is_closed_while_nothing_is_under_way_fails_nobody(
    tmp_path: Path,
) -> None:
    async def once(request: Request) -> bytes:
        return OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    async with serving(tmp_path, once) as server:
        outcomes = await loaded(server, at_least(100))
    assert Summary.of(outcomes).failed == 0
    assert server.connections == len(outcomes)


async def test_who_does_not_listen_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        pass
    outcomes = await loaded(server, at_least(50))
    summary = Summary.of(outcomes)
    assert summary.failed == summary.sent
    assert "ConnectionRefusedError while connecting" in summary.reasons


async def test_a_sender_that_repeats_brings_everything_in_the_end(tmp_path: Path) -> None:
    async def refuse_first(request: Request) -> bytes:
        return (
            OK if request.of_all > 20 else b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
        )

    async with serving(tmp_path, refuse_first) as server:
        outcomes = await loaded(server, at_least(60), retry=True)
    summary = Summary.of(outcomes)
    assert summary.failed == 0
    assert 0 < summary.repeated <= 21
    assert len(server.requests) == sum(one.attempts for one in outcomes) > len(outcomes)


async def test_a_load_in_processes_of_its_own_tells_what_became_of_each_phase(tmp_path: Path) -> None:
    busy = asyncio.Event()

    async def refuse_when_busy(request: Request) -> bytes:
        return b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n" if busy.is_set() else OK

    async with serving(tmp_path, refuse_when_busy) as server:
        with Load(server.target, rate=RATE, delay=DELAY_SECONDS) as load:
            load.phase("quiet")
            while len(server.requests) < 20:
                await asyncio.sleep(0.01)
            load.phase("busy")
            busy.set()
            while len(server.requests) < 200:
                await asyncio.sleep(0.01)
            phases = await asyncio.to_thread(load.stop)
    summaries = {name: Summary.of(outcomes) for name, outcomes in phases.items()}
    assert list(summaries) == ["quiet", "busy"]
    assert summaries["busy"].failed == summaries["busy"].sent > 0
    assert summaries["quiet"].ok > 0
    assert sorted(one.update_id for one in load.outcomes) == sorted(
        json.loads(request.body)["update_id"] for request in server.requests
    )


def test_parts_of_a_summary_are_nearest_ranks() -> None:
    outcomes = [
        Outcome(number, False, False, number, number + 0.5, number + number, 200, None)
        for number in range(1, 101)
    ]
    summary = Summary.of(outcomes)
    assert (summary.p50, summary.p99, summary.longest) == (50, 99, 100)
    assert summary.late_p99 == 0.5
    assert Summary.of([]).sent == 0


def test_failures_are_told_by_the_second_in_which_they_were_due() -> None:
    times = (100.0, 100.9, 101.0, 103.5)
    outcomes = [Outcome(0, True, True, at, at, at + 9, 502, None) for at in times]
    assert Summary.of(outcomes).by_second == {0: 2, 1: 1, 3: 1}
    assert Summary.of(outcomes).by_kind == {"kept, relayed": 4}
