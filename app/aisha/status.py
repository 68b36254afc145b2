"""`aisha status`: what is waiting, running and done, for an operator's eyes or a program's."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from aisha import settings
from aisha.database.connect import LOST, connect
from aisha.errors import ServiceError

MESSAGES = "SELECT state, count(*) FROM messages GROUP BY state ORDER BY state"
OUTCOMES = """
    SELECT coalesce(outcome, 'open') AS outcome, count(*) FROM messages
    WHERE received_at > now() - interval '24 hours' GROUP BY 1 ORDER BY 2 DESC, 1
"""
JOBS = "SELECT lane, state, count(*) FROM jobs WHERE state <> 'done' GROUP BY 1, 2 ORDER BY 1, 2"
OLDEST = """
    SELECT id, state, round(extract(epoch FROM now() - received_at))::int AS seconds FROM messages
    WHERE state NOT IN ('delivered', 'undeliverable') ORDER BY id LIMIT 1
"""
ANSWER_SECONDS = """
    SELECT percentile_cont(array[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM delivered_at - received_at))
           AS seconds
    FROM messages WHERE delivered_at > now() - interval '1 hour'
"""
WORKERS = """
    SELECT name, concurrency, languages, seen_at > now() - interval '45 seconds' AS alive FROM workers
    WHERE seen_at > now() - interval '1 hour' ORDER BY name
"""
BOTS = """
    SELECT id, mode, expires > clock_timestamp() AS alive, array(
        SELECT name FROM leases WHERE holder = bots.id AND leases.expires > clock_timestamp() ORDER BY name) AS leases
    FROM bots ORDER BY joined_at
"""
INBOX = "SELECT count(*) FILTER (WHERE handled_at IS NULL) AS unhandled FROM inbox"
OUTBOX = "SELECT count(*) AS unsent FROM outbox WHERE shown < version AND failed_at IS NULL"


def collect(url: str) -> dict[str, Any]:
    """Return the state of everything as plain data.

    Raises:
        ServiceError: the database cannot be reached.
    """
    try:
        with connect(url) as connection:
            percentiles = connection.execute(ANSWER_SECONDS).fetchone()
            seconds = percentiles["seconds"] if percentiles else None
            return {
                "messages": {row["state"]: row["count"] for row in connection.execute(MESSAGES)},
                "outcomes_24_h": {row["outcome"]: row["count"] for row in connection.execute(OUTCOMES)},
                "jobs": [dict(row) for row in connection.execute(JOBS)],
                "oldest_open": connection.execute(OLDEST).fetchone(),
                "answer_seconds_1_h": {"p50": seconds[0], "p95": seconds[1]} if seconds else None,
                "workers": [dict(row) for row in connection.execute(WORKERS)],
                "bots": [dict(row) for row in connection.execute(BOTS)],
                **(connection.execute(INBOX).fetchone() or {}),
                **(connection.execute(OUTBOX).fetchone() or {}),
            }
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


def tables(state: dict[str, Any]) -> list[Table]:
    """Return the state as tables for a terminal."""
    messages = Table("messages", "count", title="All messages")
    for name, count in state["messages"].items():
        messages.add_row(name, str(count))
    outcomes = Table("outcome", "count", title="Last 24 hours")
    for name, count in state["outcomes_24_h"].items():
        outcomes.add_row(name, str(count))
    jobs = Table("lane", "state", "count", title="Open jobs")
    for job in state["jobs"]:
        jobs.add_row(job["lane"], job["state"], str(job["count"]))
    workers = Table("worker", "decodes at once", "languages", "alive", title="Workers")
    for worker in state["workers"]:
        alive = "yes" if worker["alive"] else "no"
        workers.add_row(worker["name"], str(worker["concurrency"]), " ".join(worker["languages"]), alive)
    bots = Table("bot", "mode", "leases", "alive", title="Bots")
    for bot in state["bots"]:
        bots.add_row(bot["id"], bot["mode"], " ".join(bot["leases"]), "yes" if bot["alive"] else "no")
    return [messages, outcomes, jobs, workers, bots]


def summary(state: dict[str, Any]) -> list[str]:
    """Return what an operator should notice, in sentences."""
    lines = [f"inbox: {state['unhandled']} unhandled, outbox: {state['unsent']} unsent"]
    if oldest := state["oldest_open"]:
        lines.append(f"oldest open message: {oldest['id']} ({oldest['state']}) for {oldest['seconds']} s")
    if answers := state["answer_seconds_1_h"]:
        lines.append(f"answers of the last hour: p50 {answers['p50']:.2f} s, p95 {answers['p95']:.2f} s")
    if not any(worker["alive"] for worker in state["workers"]):
        lines.append("no worker is alive: start `aisha worker`")
    return lines


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status_command(as_json: bool) -> None:
    """Show what is waiting, running and done."""
    state = collect(settings.load_running().database_address)
    if as_json:
        click.echo(json.dumps(state, default=str))
        return
    console = Console()
    for table in tables(state):
        console.print(table)
    for line in summary(state):
        console.print(line)
