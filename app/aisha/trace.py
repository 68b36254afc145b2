"""`aisha trace`: one message's whole story, from its update to its answer."""

import json
from datetime import datetime
from typing import Any

import click
import psycopg

from aisha import settings
from aisha.database.connect import LOST, connect
from aisha.errors import AishaError, ServiceError

BY_ID = "SELECT * FROM messages WHERE id = %s"
BY_TELEGRAM = "SELECT * FROM messages WHERE chat_id = %s AND message_id = %s"
LAST = "SELECT * FROM messages ORDER BY id DESC LIMIT 1"
JOBS = "SELECT * FROM jobs WHERE message = %s ORDER BY segment NULLS FIRST"
OUTBOX = "SELECT * FROM outbox WHERE message = %s ORDER BY part"
INBOX = "SELECT received_at, handled_at, error FROM inbox WHERE update_id = %s"
STEPS = ("received", "stored", "queued", "started", "transcribed", "answered", "delivered")


def collect(url: str, message: str | None) -> dict[str, Any]:
    """Return the rows of one message: by its id, by `CHAT/MESSAGE` as Telegram numbers them, or the newest.

    Raises:
        AishaError: there is no such message.
        ServiceError: the database cannot be reached.
    """
    try:
        with connect(url) as connection:
            if message is None:
                row = connection.execute(LAST).fetchone()
            elif "/" in message:
                row = connection.execute(BY_TELEGRAM, message.split("/", 1)).fetchone()
            else:
                row = connection.execute(BY_ID, [message]).fetchone()
            if not row:
                raise AishaError(f"no message {message or 'yet'}; `aisha status` counts those there are")
            return {
                "message": row,
                "inbox": connection.execute(INBOX, [row["update_id"]]).fetchone(),
                "jobs": connection.execute(JOBS, [row["id"]]).fetchall(),
                "outbox": connection.execute(OUTBOX, [row["id"]]).fetchall(),
            }
    except psycopg.DataError:
        raise AishaError(
            f"no message {message}: give our id, or CHAT/MESSAGE as Telegram numbers them"
        ) from None
    except LOST as error:
        raise ServiceError(f"cannot reach the database of AISHA_DATABASE_URL: {error}") from None


def story(found: dict[str, Any]) -> list[str]:
    """Return the story in lines: who sent what, each step with its delay, each job, each message of ours."""
    message = found["message"]
    lines = [
        f"message {message['id']}: {message['kind']} of {message['declared_seconds'] or '?'} s,"
        f" {message['file_size'] or '?'} bytes, language {message['language']}",
        f"  Telegram: chat {message['chat_id']}, message {message['message_id']}, update {message['update_id']}",
        f"  state {message['state']}, outcome {message['outcome'] or '-'}"
        + (f", error: {message['error']}" if message["error"] else ""),
        f"  object {message['object_key'] or '-'}",
    ]
    lines += _steps(message)
    lines += [_job(job) for job in found["jobs"]]
    lines += [_sent(row) for row in found["outbox"]]
    return lines


def _steps(message: dict[str, Any]) -> list[str]:
    lines, before = [], message["received_at"]
    for step in STEPS:
        at: datetime | None = message[f"{step}_at"]
        if at is None:
            lines.append(f"  {step:<12} -")
            continue
        lines.append(
            f"  {step:<12} {at.isoformat(timespec='milliseconds')}  +{(at - before).total_seconds():.3f} s"
        )
        before = at
    return lines


def _job(job: dict[str, Any]) -> str:
    piece = "whole" if job["segment"] is None else f"segment {job['segment']}"
    took = (
        f"{(job['finished_at'] - job['started_at']).total_seconds():.3f} s"
        if job["started_at"] and job["finished_at"]
        else "-"
    )
    return (
        f"  job {job['id']} ({piece}, lane {job['lane']}): {job['state']}, given to Redis {job['dispatches']} times,"
        f" begun {job['attempts']} times, took {took}, by {job['worker'] or '-'}"
        + (f", last loss: {job['error']}" if job["error"] else "")
    )


def _sent(row: dict[str, Any]) -> str:
    shown = f"version {row['shown']} of {row['version']} shown as message {row['sent_id'] or '-'}"
    return f"  our message, part {row['part']}: {shown}" + (
        f", error: {row['error']}" if row["error"] else ""
    )


@click.command("trace")
@click.argument("message", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trace_command(message: str | None, as_json: bool) -> None:
    """Tell one message's whole story.

    MESSAGE is our id, or CHAT/MESSAGE as Telegram numbers them; without it, the newest message.
    """
    found = collect(settings.load_running().database_address, message)
    if as_json:
        click.echo(json.dumps(found, default=str, ensure_ascii=False))
        return
    for line in story(found):
        click.echo(line)
