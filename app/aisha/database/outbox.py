"""The table `outbox`: one of the bot's own messages, as its reader should see it.

A row is due while `shown` is behind `version`. It is sent once: `intend` is committed, the message sent, `shown`
recorded; from then on its message is edited. A crash between the first and the last step leaves it in doubt.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from aisha.database import jobs, messages
from aisha.database.erasures import Erasure
from aisha.database.statement import Statement, columns

SUPERGROUPS = -1_000_000_000_000
"""The ids of supergroups and channels are at most this."""

DUE = """
    FROM outbox LEFT JOIN chats USING (chat_id)
    WHERE shown < version AND failed_at IS NULL AND coalesce(quiet_until <= now(), true)
"""
# A message may still be on its way for a moment after `sending_at`, so it is not in doubt at once.
READY = """
    not_before <= now()
    AND (sending_at IS NULL OR sent_id IS NOT NULL OR sending_at < now() - interval '2 seconds')
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row."""

    id: int
    chat_id: int
    message: int | None
    part: int
    reply_to: int | None
    text: str
    markup: dict[str, Any] | None
    final: bool
    version: int
    shown: int
    sending_at: datetime | None
    after_id: int | None
    sent_id: int | None
    attempts: int
    not_before: datetime
    failed_at: datetime | None
    error: str | None
    created_at: datetime
    shown_at: datetime | None
    thread_id: int | None
    asked_by: int | None
    barred: bool

    @property
    def in_doubt(self) -> bool:
        """Whether sending it was begun and the result is unknown."""
        return self.sending_at is not None and self.sent_id is None


@dataclass(frozen=True, slots=True)
class Status:
    """A recording that waits or is being transcribed, and what its status message says.

    `seconds` is its duration, None while nobody knows; `decoded` is how many seconds of it are recognised. `running`
    has duration and lane of each job that is recognising it, and for how long that has run.
    """

    id: int
    chat_id: int
    user_id: int
    interface: str
    state: messages.State
    no_room: bool
    text: str
    shown_at: datetime
    seconds: float | None
    decoded: float
    running: list[tuple[float | None, float, jobs.Lane]]


@dataclass(frozen=True, slots=True)
class Offer:
    """A message with buttons, and who asked for them; unknown for one that an older release has sent."""

    id: int
    asked_by: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """A known message id, in the chat in question (`here`) or in another."""

    id: int
    here: bool


def reply(
    chat_id: int,
    text: str,
    *,
    reply_to: int | None = None,
    markup: dict[str, Any] | None = None,
    thread_id: int | None = None,
    asked_by: int | None = None,
) -> Statement[None]:
    """Write a message that belongs to no recording, such as the answer to a command; `asked_by` gets the buttons."""
    return _write(chat_id, text, reply_to=reply_to, markup=markup, thread_id=thread_id, asked_by=asked_by)


def write_status(message: int, chat_id: int, reply_to: int, text: str) -> Statement[None]:
    """Write the status message of a recording: its id is recorded early, and an edit makes it the answer."""
    return _write(chat_id, text, reply_to=reply_to, message=message, final=False)


def write_answer(message: int, chat_id: int, reply_to: int, part: int, text: str) -> Statement[None]:
    """Write one part of the answer to a recording; the first takes the place of the status."""
    return _write(chat_id, text, reply_to=reply_to, message=message, part=part)


def _write(
    chat_id: int,
    text: str,
    *,
    reply_to: int | None,
    message: int | None = None,
    part: int = 0,
    markup: dict[str, Any] | None = None,
    final: bool = True,
    thread_id: int | None = None,
    asked_by: int | None = None,
) -> Statement[None]:
    """Write a row; one about a recording is for the recording's topic."""
    return Statement(
        """
        INSERT INTO outbox (chat_id, message, part, reply_to, text, markup, final, asked_by, thread_id)
        VALUES (%(chat_id)s, %(message)s, %(part)s, %(reply_to)s, %(text)s, %(markup)s, %(final)s, %(asked_by)s,
            coalesce(%(thread_id)s, (SELECT thread_id FROM messages WHERE id = %(message)s)))
        ON CONFLICT (message, part) DO UPDATE
        SET text = excluded.text, final = excluded.final, version = outbox.version + 1, failed_at = NULL
        """,
        {
            "chat_id": chat_id,
            "message": message,
            "part": part,
            "reply_to": reply_to,
            "text": text,
            "markup": Jsonb(markup) if markup else None,
            "final": final,
            "thread_id": thread_id,
            "asked_by": asked_by,
        },
    )


def offer(chat_id: int, sent_id: int, data: str) -> Statement[Offer]:
    """Select the row that shows a button with this data as that message of the chat.

    A button can be pressed before the id of its message is recorded: then that is the row that is being sent.
    """
    return Statement(
        """
        SELECT id, asked_by FROM outbox
        WHERE chat_id = %(chat_id)s AND (sent_id = %(sent_id)s OR sent_id IS NULL AND after_id < %(sent_id)s
            AND shown < version AND failed_at IS NULL)
            AND jsonb_path_exists(markup, '$.inline_keyboard[*][*].callback_data ? (@ == $data)',
                                  jsonb_build_object('data', %(data)s::text))
        ORDER BY sent_id LIMIT 1
        """,
        {"chat_id": chat_id, "sent_id": sent_id, "data": data},
        class_row(Offer),
    )


def accept_offer(row: int, text: str) -> Statement[None]:
    """Replace an offer by what came of it, and remove its buttons; one that was accepted before stays."""
    return Statement(
        """
        UPDATE outbox SET text = %(text)s, markup = NULL, version = version + 1
        WHERE id = %(id)s AND markup IS NOT NULL
        """,
        {"id": row, "text": text},
    )


def stale_statuses() -> Statement[Status]:
    """Select the status messages that may be updated: of recordings that have waited for a while."""
    return Statement(
        """
        SELECT m.id, m.chat_id, m.user_id, m.interface, m.state, m.no_room, outbox.text, outbox.shown_at,
            CASE WHEN m.segments IS NULL THEN m.declared_seconds ELSE cut.seconds END AS seconds,
            coalesce(cut.decoded, 0) AS decoded, coalesce(cut.running, '[]') AS running
        FROM messages AS m JOIN outbox ON outbox.message = m.id AND outbox.part = 0,
            LATERAL (SELECT sum(seconds) AS seconds, sum(seconds) FILTER (WHERE state = 'done') AS decoded,
                jsonb_agg(jsonb_build_array(seconds, extract(epoch FROM now() - started_at), lane))
                    FILTER (WHERE state = 'started') AS running
                FROM jobs WHERE jobs.message = m.id AND (segment IS NOT NULL OR lane = 'short')) AS cut
        WHERE m.state IN ('received', 'stored', 'transcribing') AND m.received_at < now() - interval '5 seconds'
            AND outbox.shown = outbox.version AND NOT outbox.final AND outbox.shown_at < now() - interval '3 seconds'
        ORDER BY m.id LIMIT 2000
        """,
        rows=class_row(Status),
    )


def change_status(message: int, text: str) -> Statement[None]:
    """Change the text of a status message, unless it says that already or has become the answer meanwhile."""
    return Statement(
        """
        UPDATE outbox SET text = %(text)s, version = version + 1
        WHERE message = %(message)s AND part = 0 AND NOT final AND text <> %(text)s
        """,
        {"message": message, "text": text},
        wakes=("send",),
    )


def due_chats(besides: list[int], limit: int) -> Statement[int]:
    """Select the chats whose first due row may be shown now, those that have waited longest first."""
    return Statement(
        f"""
        SELECT chat_id FROM (SELECT DISTINCT ON (chat_id) chat_id, outbox.id, {READY} AS ready {DUE}
                             ORDER BY chat_id, outbox.id) AS first_rows
        WHERE ready AND NOT chat_id = ANY(%(besides)s) ORDER BY id LIMIT %(limit)s
        """,
        {"besides": besides, "limit": limit},
    )


def next_due(chat_id: int) -> Statement[Outgoing]:
    """Select the chat's first due row, if that may be shown now: those behind it wait for it."""
    return Statement(
        f"""
        SELECT {columns(Outgoing)} FROM (SELECT outbox.*, {READY} AS ready {DUE} AND chat_id = %(chat_id)s
                                         ORDER BY outbox.id LIMIT 1) AS first_row
        WHERE ready
        """,
        {"chat_id": chat_id},
        class_row(Outgoing),
    )


def intend(row: int) -> Statement[datetime]:
    """Record that a row is about to be sent and the id that its message's will exceed; return the time."""
    return Statement(
        """
        UPDATE outbox SET sending_at = now(), after_id = greatest(reply_to, (
            SELECT max(message_id) FROM inbox WHERE inbox.chat_id = outbox.chat_id), (
            SELECT max(sent_id) FROM outbox AS earlier WHERE earlier.chat_id = outbox.chat_id), 0)
        WHERE id = %(id)s RETURNING sending_at
        """,
        {"id": row},
    )


def never_sent(row: int, sending_at: datetime | None) -> Statement[None]:
    """Record that the attempt begun at `sending_at` sent nothing."""
    sql = "UPDATE outbox SET sending_at = NULL WHERE id = %(id)s AND sending_at = %(sending_at)s"
    return Statement(sql, {"id": row, "sending_at": sending_at})


def shown(row: int, version: int, sent_id: int) -> Statement[None]:
    """Record that Telegram shows this version of a row as that message; its text is then of no more use."""
    return Statement(
        """
        UPDATE outbox SET shown = %(version)s, sent_id = %(sent_id)s, sending_at = NULL, shown_at = now(), error = NULL,
            attempts = 0, barred = false, text = CASE WHEN final AND version = %(version)s THEN '' ELSE text END
        WHERE id = %(id)s
        """,
        {"id": row, "version": version, "sent_id": sent_id},
    )


def send_anew(row: int) -> Statement[None]:
    """Replace a message that is gone by a new one."""
    return Statement("UPDATE outbox SET sent_id = NULL, sending_at = NULL WHERE id = %(id)s", {"id": row})


def fail(row: Outgoing, error: str, *, barred: bool = False) -> Statement[None]:
    """Record that Telegram has refused a row permanently; with a part of an answer, the other parts fail too.

    A row that is `barred` was refused because of the chat: it may be shown once the chat lets the bot in again.
    """
    return Statement(
        """
        UPDATE outbox SET failed_at = now(), error = %(error)s, barred = %(barred)s, attempts = attempts + 1
        WHERE id = %(id)s AND version = %(version)s OR %(final)s AND message = %(message)s AND shown < version
        """,
        {
            "id": row.id,
            "version": row.version,
            "final": row.final,
            "message": row.message,
            "error": error,
            "barred": barred,
        },
    )


def readmit(chat_id: int, *, days: int, patient: bool) -> Statement[int]:
    """Make due again what a chat did not let in during the last `days`, and return the recordings that it is about.

    `patient` leaves out what was tried lately and has failed several times: a chat can be talking and still closed to
    the bot.
    """
    return Statement(
        """
        UPDATE outbox SET failed_at = NULL, barred = false, not_before = now()
        WHERE barred AND chat_id = %(chat_id)s AND message IS NOT NULL AND shown < version
            AND created_at > now() - make_interval(days => %(days)s)
            AND (NOT %(patient)s OR attempts < 4
                 OR failed_at < now() - make_interval(mins => least(attempts, 60)))
        RETURNING message
        """,
        {"chat_id": chat_id, "days": days, "patient": patient},
        wakes=("send",),
    )


def try_later(row: int, error: str, seconds: float, hours: int) -> Statement[bool]:
    """Try a row again after `seconds`; tell whether it is older than `hours`."""
    return Statement(
        """
        UPDATE outbox SET attempts = attempts + 1, not_before = now() + make_interval(secs => %(seconds)s),
            error = %(error)s
        WHERE id = %(id)s RETURNING created_at < now() - make_interval(hours => %(hours)s)
        """,
        {"id": row, "error": error, "seconds": seconds, "hours": hours},
    )


def move_chat(chat_id: int, former: int) -> Statement[None]:
    """Send what was not shown yet to the supergroup that a group has become; message ids start over there."""
    return Statement(
        """
        UPDATE outbox SET chat_id = %(chat_id)s, reply_to = NULL, sent_id = NULL, sending_at = NULL, thread_id = NULL
        WHERE chat_id = %(former)s AND shown < version
        """,
        {"chat_id": chat_id, "former": former},
    )


def known_ids(chat_id: int, after: int) -> Statement[Known]:
    """Select the known message ids above `after` of the counter that numbers the chat's messages.

    Private chats and basic groups share one counter; a supergroup or channel has its own.
    """
    scope = "chat_id = %(chat_id)s" if chat_id <= SUPERGROUPS else f"chat_id > {SUPERGROUPS}"
    return Statement(
        f"""
        SELECT message_id AS id, chat_id = %(chat_id)s AS here FROM inbox WHERE message_id > %(after)s AND {scope}
        UNION SELECT sent_id, chat_id = %(chat_id)s FROM outbox WHERE sent_id > %(after)s AND {scope}
        """,
        {"chat_id": chat_id, "after": after},
        class_row(Known),
    )


def of(message: int) -> Statement[Outgoing]:
    """Select the bot's own messages about a recording."""
    sql = f"SELECT {columns(Outgoing)} FROM outbox WHERE message = %(message)s ORDER BY part"
    return Statement(sql, {"message": message}, class_row(Outgoing))


def unsent() -> Statement[int]:
    """Count the rows whose newest version is not shown."""
    sql = "SELECT count(*) FROM outbox WHERE shown < version AND failed_at IS NULL"
    return Statement(sql)


def empty(limit: int) -> Statement[None]:
    """Empty texts that the release before has shown, and those that Telegram has refused for a week."""
    return Statement(
        """
        UPDATE outbox SET text = '' WHERE id IN (
            SELECT id FROM outbox WHERE text <> '' AND final
                AND (shown = version OR failed_at < now() - interval '7 days')
            LIMIT %(limit)s)
        """,
        {"limit": limit},
    )


def announce(row: int, text: str) -> Statement[None]:
    """Replace a message's text and remove its buttons."""
    return Statement(
        "UPDATE outbox SET text = %(text)s, markup = NULL, version = version + 1 WHERE id = %(id)s",
        {"id": row, "text": text},
        wakes=("send",),
    )


def cancel(erasure: Erasure) -> Statement[None]:
    """Delete what a person was to be sent about recordings and that was not sent."""
    return Statement(
        f"""
        DELETE FROM outbox USING messages WHERE messages.id = outbox.message AND {erasure.covers("messages")}
        AND sent_id IS NULL AND sending_at IS NULL
        """,
        erasure.values,
    )


def withdraw(erasure: Erasure, text: str) -> Statement[None]:
    """Replace the statuses and half-shown answers of a person's recordings."""
    return Statement(
        f"""
        UPDATE outbox SET text = %(text)s, final = true, markup = NULL, version = version + 1 FROM messages
        WHERE messages.id = outbox.message AND {erasure.covers("messages")}
        AND (NOT final OR shown < version) AND outbox.text <> %(text)s
        """,
        {**erasure.values, "text": text},
        wakes=("send",),
    )


def erase(erasure: Erasure) -> Statement[None]:
    """Delete what was said in a person's private chat, and to that person in groups."""
    return Statement(
        """
        DELETE FROM outbox WHERE created_at <= %(asked_at)s AND id NOT IN (SELECT notice FROM erasures)
        AND (chat_id = %(user_id)s OR message IS NULL AND (asked_by = %(user_id)s OR EXISTS (
            SELECT FROM inbox WHERE inbox.chat_id = outbox.chat_id AND inbox.message_id = outbox.reply_to
            AND jsonb_path_exists(inbox.update, '$.message.from ? (@.id == $id)',
                                  jsonb_build_object('id', %(user_id)s)))))
        """,
        erasure.values,
    )


def delete(row: int) -> Statement[None]:
    """Delete a row."""
    return Statement("DELETE FROM outbox WHERE id = %(id)s", {"id": row})


def forget() -> Statement[None]:
    """Delete what belongs to no recording and was shown, after a week."""
    return Statement(
        """
        DELETE FROM outbox WHERE message IS NULL AND created_at < now() - interval '7 days'
        AND (shown = version OR failed_at IS NOT NULL)
        """
    )
