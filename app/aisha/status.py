"""`aisha status`: what is waiting, running and done, for an operator or a program."""

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from aisha import settings
from aisha.database import bots, inbox, jobs, messages, outbox, workers
from aisha.database.connect import LOST, connect


def collect(url: str) -> dict[str, Any]:
    """Return the state of everything as plain data.

    Raises:
        ServiceError: the database cannot be reached.
    """
    try:
        with connect(url) as connection:
            seconds = connection.one(messages.answer_seconds())
            return {
                "messages": dict(connection.all(messages.by_state())),
                "outcomes_24_h": dict(connection.all(messages.by_outcome())),
                "jobs": connection.all(jobs.open_by_lane()),
                "oldest_open": connection.one(messages.oldest_open()),
                "answer_seconds_1_h": {"p50": seconds[0], "p95": seconds[1]} if seconds else None,
                "workers": connection.all(workers.known()),
                "bots": connection.all(bots.known()),
                "unhandled": connection.only(inbox.unhandled()),
                "unsent": connection.only(outbox.unsent()),
            }
    except LOST as error:
        raise settings.unreachable(error) from None


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
