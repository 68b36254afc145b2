"""`aisha trace`: one message's whole story, from its update to its answer."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
import psycopg

from aisha import settings
from aisha.database import inbox, jobs, messages, outbox
from aisha.database.connect import LOST, connect
from aisha.database.messages import Message
from aisha.database.statement import Statement
from aisha.database.timing import unpack
from aisha.errors import AishaError

STEPS = ("received", "stored", "queued", "started", "transcribed", "answered", "delivered")


def collect(url: str, message: str | None) -> dict[str, Any]:
    """Return the rows of one message: by its id, by `CHAT/MESSAGE` as Telegram numbers them, or the newest.

    Raises:
        AishaError: there is no such message.
        ServiceError: the database cannot be reached.
    """
    try:
        with connect(url) as connection:
            row = connection.one(_asked(message))
            if not row:
                raise AishaError(f"no message {message or 'yet'}; `aisha status` counts the messages")
            return {
                "message": _with_words(row),
                "inbox": connection.one(inbox.story(row.update_id)),
                "jobs": [asdict(job) for job in connection.all(jobs.of(row.id))],
                "outbox": [asdict(sent) for sent in connection.all(outbox.of(row.id))],
            }
    except psycopg.DataError:
        raise AishaError(
            f"no message {message}: give Aisha's id, or CHAT/MESSAGE as Telegram numbers them"
        ) from None
    except LOST as error:
        raise settings.unreachable(error) from None


def _with_words(row: Message) -> dict[str, Any]:
    """Return the columns, the words as `[text, start, end, confidence]` however they are kept."""
    found = asdict(row)
    if times := found.pop("times"):
        found["words"] = unpack(row.text or "", times)
    return found


def _asked(message: str | None) -> Statement[Message]:
    if message is None:
        return messages.newest()
    if "/" in message:
        return messages.by_telegram(*message.split("/", 1))
    return messages.by_id(message)


def story(found: dict[str, Any]) -> list[str]:
    """Return the story in lines: who sent what, each step with its delay, each job, each message of the bot."""
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


class MessageName(click.ParamType[str]):
    """An id, or a chat's and a message's, of which a group's begins with a minus sign as options do."""

    name = "message"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value; an option that does not exist comes here too, and is refused as usual."""
        if value.startswith("-") and not value[1:2].isdigit():
            raise click.NoSuchOption(value, ctx=ctx)
        return value


@click.command("trace", context_settings={"ignore_unknown_options": True})
@click.argument("message", required=False, type=MessageName())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trace_command(message: str | None, as_json: bool) -> None:
    """Tell one message's whole story.

    MESSAGE is Aisha's id, or CHAT/MESSAGE as Telegram numbers them; without it, the newest message.
    """
    found = collect(settings.load_running().database_address, message)
    if as_json:
        click.echo(json.dumps(found, default=str, ensure_ascii=False))
        return
    for line in story(found):
        click.echo(line)
