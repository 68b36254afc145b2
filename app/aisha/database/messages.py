"""The table `messages`: the whole story of one recording in one row.

    received ──▶ stored ──▶ transcribing ──▶ transcribed ──▶ delivered
       │  ▲                      │             ▲     │  ▲
       │  └── fetch_again ───────┘             │     ▼  └── readmit
       └── refuse, copy_known ─────────────────┘   undeliverable

`docs/message-path.md` says what moves a message on from each state, and what a crash does there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row, tuple_row

from aisha.database.erasures import Erasure
from aisha.database.statement import Statement, columns
from aisha.database.timing import pack
from aisha.outcomes import Outcome

State = Literal["received", "stored", "transcribing", "transcribed", "delivered", "undeliverable"]


@dataclass(frozen=True, slots=True)
class Message:
    """A row; a newer release may have written an outcome that `Outcome` does not have."""

    id: int
    update_id: int
    chat_id: int
    message_id: int
    user_id: int
    kind: str
    file_id: str
    file_unique_id: str
    file_name: str | None
    file_size: int | None
    declared_seconds: float | None
    language: str
    interface: str
    state: State
    outcome: str | None
    error: str | None
    store_attempts: int
    store_after: datetime
    object_key: str | None
    audio_seconds: float | None
    complete: bool
    segment_seconds: float | None
    segments: int | None
    text: str | None
    words: list[Any] | None
    received_at: datetime
    stored_at: datetime | None
    queued_at: datetime | None
    started_at: datetime | None
    transcribed_at: datetime | None
    answered_at: datetime | None
    delivered_at: datetime | None
    track: int | None
    tracks: int | None
    thread_id: int | None
    no_room: bool
    object_removed_at: datetime | None
    times: bytes | None


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of a recording before its file is fetched; size and duration as the sender declared them."""

    update_id: int
    chat_id: int
    message_id: int
    user_id: int
    kind: str
    file_id: str
    file_unique_id: str
    file_name: str | None
    file_size: int | None
    declared_seconds: float | None
    language: str
    interface: str
    thread_id: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Whether a recording comes after others of its own sender, and after others that wait."""

    after_own: bool
    after_others: bool


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What an answer is made of."""

    id: int
    chat_id: int
    message_id: int
    kind: str
    interface: str
    outcome: str
    text: str | None
    complete: bool
    audio_seconds: float | None
    track: int | None
    tracks: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """A message whose file is to be stored now; `small` as `SHORT_BYTES` and `SHORT_SECONDS` of `aisha.lanes` say."""

    id: int
    user_id: int
    small: bool


@dataclass(frozen=True, slots=True)
class Removable:
    """A message that has ended, with its recording; `shared` if an unfinished message has the same recording."""

    id: int
    object_key: str
    shared: bool
    was_cut: bool


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A text whose words still stand beside it as JSON."""

    id: int
    text: str
    words: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A message that is to be erased, and whether somebody else has sent the same recording (`shared`)."""

    id: int
    object_key: str | None
    shared: bool


def accept(received: Received) -> Statement[int]:
    """Add a message and return its id; no row when it was accepted before."""
    given = asdict(received)
    return Statement(
        f"""
        INSERT INTO messages ({", ".join(given)}) VALUES ({", ".join(f"%({name})s" for name in given)})
        ON CONFLICT (chat_id, message_id) DO NOTHING RETURNING id
        """,
        given,
    )


def place(message: int) -> Statement[Place]:
    """Select where a message that has just been accepted stands, roughly: the dispatcher decides later.

    Recordings of up to a minute do not wait for longer ones, so those count apart.
    """
    return Statement(
        """
        SELECT coalesce(bool_or(other.user_id = own.user_id), false) AS after_own,
            coalesce(bool_or(other.state IN ('received', 'stored')), false) AS after_others
        FROM messages AS own, messages AS other
        WHERE own.id = %(id)s AND other.id < own.id AND other.state IN ('received', 'stored', 'transcribing')
            AND (coalesce(other.declared_seconds, 0) > 60) = (coalesce(own.declared_seconds, 0) > 60)
        """,
        {"id": message},
        class_row(Place),
    )


def refuse(message: int, outcome: Outcome, error: str) -> Statement[None]:
    """End a message that was never stored; `error` is for the operator."""
    return Statement(
        """
        UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = %(outcome)s, error = %(error)s
        WHERE id = %(id)s AND state = 'received'
        """,
        {"id": message, "outcome": outcome, "error": error},
        wakes=("answer",),
    )


def copy_known(
    message: int, language: str, *, file_unique_id: str | None = None, object_key: str | None = None
) -> Statement[None]:
    """End a message with the known result for the same file, or the same content, in the same language."""
    same = "file_unique_id = %(file_unique_id)s" if file_unique_id else "object_key = %(object_key)s"
    return Statement(
        f"""
        UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = known.outcome,
            text = known.text, words = known.words, times = known.times, audio_seconds = known.audio_seconds,
            complete = known.complete, object_key = known.object_key, track = known.track, tracks = known.tracks
        FROM (SELECT * FROM messages WHERE {same} AND language = %(language)s AND id <> %(id)s
              AND outcome IN ('speech', 'silence', 'no_speech', 'too_short', 'unreadable', 'no_sound', 'empty')
              ORDER BY id DESC LIMIT 1) AS known
        WHERE messages.id = %(id)s AND messages.state = 'received'
        """,
        {"id": message, "language": language, "file_unique_id": file_unique_id, "object_key": object_key},
        wakes=("answer",),
    )


def to_store(besides: list[int], small_bytes: int, small_seconds: int, share: int) -> Statement[Due]:
    """Select messages whose files are to be stored now, in the order of turns, fifty at most of either kind.

    A user's n-th file has the n-th turn even if those before it are being stored; small and large ones are counted
    separately. A user whose unfinished recordings take up `share` bytes of storage waits.
    """
    return Statement(
        """
        SELECT id, user_id, small FROM (
            SELECT *, row_number() OVER (PARTITION BY small ORDER BY turn, id) AS place FROM (
                SELECT *, row_number() OVER (PARTITION BY user_id, small ORDER BY id) AS turn FROM (
                    SELECT id, user_id, coalesce(file_size <= %(small_bytes)s, declared_seconds <= %(small_seconds)s,
                                                 false) AS small
                    FROM messages WHERE state = 'received' AND store_after <= now() AND user_id NOT IN (
                        SELECT user_id FROM messages
                        WHERE state IN ('stored', 'transcribing', 'transcribed') AND stored_at IS NOT NULL
                        GROUP BY user_id HAVING sum(file_size) >= %(share)s)
                ) AS due
            ) AS turns WHERE NOT id = ANY(%(besides)s)
        ) AS places WHERE place <= 50 ORDER BY turn, NOT small, id
        """,
        {"besides": besides, "small_bytes": small_bytes, "small_seconds": small_seconds, "share": share},
        class_row(Due),
    )


def unfinished_bytes() -> Statement[int]:
    """Sum the sizes of the stored recordings whose answers are not shown yet."""
    return Statement(
        """
        SELECT coalesce(sum(file_size), 0)::bigint FROM messages
        WHERE state IN ('stored', 'transcribing', 'transcribed') AND stored_at IS NOT NULL
        """
    )


def stored_bytes() -> Statement[int]:
    """Sum the sizes of all recordings in object storage; one that was stored twice counts twice."""
    return Statement(
        """
        SELECT coalesce(sum(file_size), 0)::bigint FROM messages
        WHERE stored_at IS NOT NULL AND object_removed_at IS NULL
        """
    )


def removable(hours: int, limit: int) -> Statement[Removable]:
    """Select the oldest messages that ended so many hours ago and whose recordings are still in object storage."""
    return Statement(
        """
        SELECT id, object_key, segment_seconds IS NOT NULL AS was_cut, EXISTS (
            SELECT FROM messages AS other WHERE other.object_key = messages.object_key
                AND other.state IN ('stored', 'transcribing')) AS shared
        FROM messages
        WHERE stored_at IS NOT NULL AND object_removed_at IS NULL AND object_key IS NOT NULL
            AND state IN ('delivered', 'undeliverable')
            AND coalesce(delivered_at, transcribed_at, received_at) <= now() - make_interval(hours => %(hours)s)
        ORDER BY id LIMIT %(limit)s
        """,
        {"hours": hours, "limit": limit},
        class_row(Removable),
    )


def objects_removed(ended: Sequence[Removable]) -> Statement[None]:
    """Record that the recordings of messages, and of others with the same ones, are no longer in object storage."""
    return Statement(
        """
        UPDATE messages SET object_removed_at = now()
        WHERE id = ANY(%(ids)s) OR outcome IS NOT NULL AND object_key = ANY(%(keys)s)
            AND state IN ('delivered', 'undeliverable')
        """,
        {"ids": [one.id for one in ended], "keys": [one.object_key for one in ended if not one.shared]},
    )


def received(message: int) -> Statement[Message]:
    """Select a message that is still to be stored."""
    sql = f"SELECT {columns(Message)} FROM messages WHERE id = %(id)s AND state = 'received'"
    return Statement(sql, {"id": message}, class_row(Message))


def stored(message: int, object_key: str, size: int) -> Statement[None]:
    """Record that the file is in object storage; `jobs.add` belongs to the same transaction."""
    return Statement(
        """
        UPDATE messages SET state = 'stored', stored_at = now(), object_key = %(key)s, file_size = %(size)s,
            error = NULL, no_room = false, object_removed_at = NULL
        WHERE id = %(id)s AND state = 'received'
        """,
        {"id": message, "key": object_key, "size": size},
    )


def store_later(message: int, error: str, seconds: float, *, no_room: bool = False) -> Statement[None]:
    """Record that storing has failed, and try again after `seconds`."""
    return Statement(
        """
        UPDATE messages SET store_attempts = store_attempts + 1, error = %(error)s, no_room = %(no_room)s,
            store_after = now() + make_interval(secs => %(seconds)s)
        WHERE id = %(id)s AND state = 'received'
        """,
        {"id": message, "error": error, "seconds": seconds, "no_room": no_room},
    )


def queued(messages: list[int]) -> Statement[None]:
    """Record when a message's first job was given to Redis."""
    sql = "UPDATE messages SET queued_at = coalesce(queued_at, now()) WHERE id = ANY(%(ids)s)"
    return Statement(sql, {"ids": messages})


def begin(message: int) -> Statement[Message]:
    """Record that a work-horse has started; no row when the message has ended."""
    return Statement(
        f"""
        UPDATE messages SET state = 'transcribing', started_at = coalesce(started_at, now())
        WHERE id = %(id)s AND state IN ('stored', 'transcribing') RETURNING {columns(Message)}
        """,
        {"id": message},
        class_row(Message),
    )


def fix_segment_length(message: int, seconds: float) -> Statement[float]:
    """Set the length of the message's segments, unless it was set before, and return it."""
    return Statement(
        """
        UPDATE messages SET segment_seconds = coalesce(segment_seconds, %(seconds)s) WHERE id = %(id)s
        RETURNING segment_seconds
        """,
        {"id": message, "seconds": seconds},
    )


def cut(message: int, segments: int, *, complete: bool) -> Statement[None]:
    """Record that every segment is stored and has its job."""
    sql = "UPDATE messages SET segments = %(segments)s, complete = %(complete)s WHERE id = %(id)s"
    return Statement(sql, {"id": message, "segments": segments, "complete": complete})


def heard_track(message: int, track: int, tracks: int) -> Statement[None]:
    """Record which of several audio tracks is transcribed."""
    sql = "UPDATE messages SET track = %(track)s, tracks = %(tracks)s WHERE id = %(id)s"
    return Statement(sql, {"id": message, "track": track, "tracks": tracks})


def locked(message: int) -> Statement[Message]:
    """Lock the row until the transaction ends: of two jobs that finish together, the second then sees the first."""
    sql = f"SELECT {columns(Message)} FROM messages WHERE id = %(id)s FOR UPDATE"
    return Statement(sql, {"id": message}, class_row(Message))


def transcribed(
    message: int,
    outcome: Outcome,
    *,
    text: str | None = None,
    words: list[list[Any]] | None = None,
    seconds: float | None = None,
    complete: bool = True,
    error: str | None = None,
) -> Statement[None]:
    """End the recognition of a message, with a text or with an error for the operator."""
    return Statement(
        """
        UPDATE messages SET state = 'transcribed', transcribed_at = now(), outcome = %(outcome)s, text = %(text)s,
            times = %(times)s, audio_seconds = %(seconds)s, complete = %(complete)s, error = %(error)s
        WHERE id = %(id)s AND state IN ('stored', 'transcribing')
        """,
        {
            "id": message,
            "outcome": outcome,
            "text": text,
            "times": pack(text, words) if text and words else None,
            "seconds": seconds,
            "complete": complete,
            "error": error,
        },
        wakes=("answer",),
    )


def fetch_again(message: int, error: str) -> Statement[None]:
    """Start over from Telegram, which still has the file; `jobs.drop` belongs to the same transaction."""
    return Statement(
        """
        UPDATE messages SET state = 'received', error = %(error)s, object_key = NULL, segments = NULL,
            segment_seconds = NULL, store_attempts = store_attempts + 1,
            store_after = now() + make_interval(secs => least(store_attempts, 60))
        WHERE id = %(id)s AND state = 'transcribing'
        """,
        {"id": message, "error": error},
        wakes=("store",),
    )


def recent_speech(language: str) -> Statement[str]:
    """Select the object keys of the newest recordings of 2 to 60 seconds in which this language was heard."""
    return Statement(
        """
        SELECT object_key FROM messages
        WHERE outcome = 'speech' AND language = %(language)s AND stored_at IS NOT NULL
            AND object_removed_at IS NULL AND object_key IS NOT NULL AND audio_seconds BETWEEN 2 AND 60
        ORDER BY id DESC LIMIT 20
        """,
        {"language": language},
    )


def next_unanswered() -> Statement[Transcribed]:
    """Lock the next message without an answer until the transaction ends."""
    return Statement(
        f"""
        SELECT {columns(Transcribed)} FROM messages WHERE state = 'transcribed' AND answered_at IS NULL
        ORDER BY transcribed_at LIMIT 1 FOR UPDATE SKIP LOCKED
        """,
        rows=class_row(Transcribed),
    )


def answered(message: int) -> Statement[None]:
    """Record that all parts of the answer are in the outbox."""
    sql = "UPDATE messages SET answered_at = now() WHERE id = %(id)s"
    return Statement(sql, {"id": message}, wakes=("send",))


def delivered(message: int) -> Statement[float]:
    """End a message whose whole answer is shown and return the seconds it took; no row if some is not shown yet."""
    return Statement(
        """
        UPDATE messages SET state = 'delivered', delivered_at = now()
        WHERE id = %(id)s AND answered_at IS NOT NULL AND state = 'transcribed' AND NOT EXISTS (
            SELECT FROM outbox WHERE message = messages.id AND (NOT final OR shown < version))
        RETURNING extract(epoch FROM delivered_at - received_at)::float
        """,
        {"id": message},
    )


def with_words(after: int, limit: int) -> Statement[Unpacked]:
    """Select messages above `after` whose words the release before has written, or this one's predecessors."""
    return Statement(
        f"""
        SELECT {columns(Unpacked)} FROM messages WHERE id > %(after)s AND words IS NOT NULL AND text IS NOT NULL
        ORDER BY id LIMIT %(limit)s
        """,
        {"after": after, "limit": limit},
        class_row(Unpacked),
    )


def pack_words(message: Unpacked) -> Statement[None]:
    """Replace the words by their times."""
    return Statement(
        "UPDATE messages SET words = NULL, times = %(times)s WHERE id = %(id)s AND text = %(text)s",
        {"id": message.id, "text": message.text, "times": pack(message.text, message.words)},
    )


def expire(days: int, limit: int) -> Statement[None]:
    """Delete messages that ended so many days ago, and with them their jobs and the bot's own messages."""
    return Statement(
        """
        DELETE FROM messages WHERE id IN (
            SELECT id FROM messages
            WHERE state IN ('delivered', 'undeliverable') AND received_at < now() - make_interval(days => %(days)s)
                AND coalesce(delivered_at, transcribed_at, received_at) < now() - make_interval(days => %(days)s)
            LIMIT %(limit)s)
        """,
        {"days": days, "limit": limit},
    )


def cancel(erasure: Erasure) -> Statement[None]:
    """End what is under way of a person, and empty what has ended; no repeat is answered from it any more."""
    return Statement(
        f"""
        UPDATE messages SET state = 'delivered', outcome = NULL, text = NULL, words = NULL, times = NULL,
            file_name = NULL, error = NULL
        WHERE {erasure.covers("messages")} AND (state <> 'delivered' OR outcome IS NOT NULL)
        """,
        erasure.values,
    )


def forgotten(erasure: Erasure, besides: list[int], limit: int) -> Statement[Forgotten]:
    """Select messages to erase, of which Telegram shows no status any more."""
    return Statement(
        f"""
        SELECT id, object_key, EXISTS (
            SELECT FROM messages AS others
            WHERE others.object_key = messages.object_key AND NOT ({erasure.covers("others")})) AS shared
        FROM messages WHERE {erasure.covers("messages")} AND NOT id = ANY(%(besides)s) AND NOT EXISTS (
            SELECT FROM outbox WHERE message = messages.id AND shown < version AND failed_at IS NULL)
        ORDER BY id LIMIT %(limit)s
        """,
        {**erasure.values, "besides": besides, "limit": limit},
        class_row(Forgotten),
    )


def unforgotten(erasure: Erasure) -> Statement[int]:
    """Count the messages that are still to be erased."""
    return Statement(f"SELECT count(*) FROM messages WHERE {erasure.covers('messages')}", erasure.values)


def erase(messages: list[int]) -> Statement[None]:
    """Delete messages, and with them their jobs and the bot's own messages about them."""
    return Statement("DELETE FROM messages WHERE id = ANY(%(ids)s)", {"ids": messages})


def undeliverable(message: int | None, error: str, *, final: bool) -> Statement[None]:
    """Record that Telegram has refused a row permanently; with a part of the answer, the message ends."""
    return Statement(
        """
        UPDATE messages SET error = %(error)s, state = CASE WHEN %(final)s THEN 'undeliverable' ELSE state END
        WHERE id = %(id)s AND state <> 'delivered'
        """,
        {"id": message, "error": error, "final": final},
    )


def readmit(messages: list[int]) -> Statement[None]:
    """Go on with messages whose chat has let the bot in again; `outbox.readmit` belongs to the same transaction."""
    sql = "UPDATE messages SET state = 'transcribed' WHERE id = ANY(%(ids)s) AND state = 'undeliverable'"
    return Statement(sql, {"ids": messages})


def by_id(message: str) -> Statement[Message]:
    """Select a message by its id, as typed by an operator."""
    sql = f"SELECT {columns(Message)} FROM messages WHERE id = %(id)s"
    return Statement(sql, {"id": message}, class_row(Message))


def by_telegram(chat_id: str, message_id: str) -> Statement[Message]:
    """Select a message by Telegram's numbers, as typed by an operator."""
    sql = (
        f"SELECT {columns(Message)} FROM messages WHERE chat_id = %(chat_id)s AND message_id = %(message_id)s"
    )
    return Statement(sql, {"chat_id": chat_id, "message_id": message_id}, class_row(Message))


def newest() -> Statement[Message]:
    """Select the message that was accepted last."""
    sql = f"SELECT {columns(Message)} FROM messages ORDER BY id DESC LIMIT 1"
    return Statement(sql, rows=class_row(Message))


def by_state() -> Statement[tuple[str, int]]:
    """Count all messages by state."""
    sql = "SELECT state, count(*) FROM messages GROUP BY state ORDER BY state"
    return Statement(sql, rows=tuple_row)


def by_outcome() -> Statement[tuple[str, int]]:
    """Count the messages of the last 24 hours by outcome."""
    return Statement(
        """
        SELECT coalesce(outcome, 'open'), count(*) FROM messages
        WHERE received_at > now() - interval '24 hours' GROUP BY 1 ORDER BY 2 DESC, 1
        """,
        rows=tuple_row,
    )


def oldest_open() -> Statement[dict[str, Any]]:
    """Select id, state and age in `seconds` of the oldest message that has not ended."""
    return Statement(
        """
        SELECT id, state, round(extract(epoch FROM now() - received_at))::int AS seconds FROM messages
        WHERE state NOT IN ('delivered', 'undeliverable') ORDER BY id LIMIT 1
        """,
        rows=dict_row,
    )


def answer_seconds() -> Statement[list[float]]:
    """Select the median and the 95th percentile of how long answers took in the last hour."""
    return Statement(
        """
        SELECT percentile_cont(array[0.5, 0.95])
               WITHIN GROUP (ORDER BY extract(epoch FROM delivered_at - received_at))
        FROM messages WHERE delivered_at > now() - interval '1 hour'
        """,
    )
