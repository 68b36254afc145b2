"""The message path: inbox, chats, messages, jobs, outbox and workers."""

from alembic import op

revision = "0001"
down_revision = None
phase = "expand"

SCHEMA = """
-- What Telegram sent, committed before it is acknowledged.
CREATE TABLE inbox (
    update_id   bigint PRIMARY KEY,
    update      jsonb NOT NULL,
    chat_id     bigint,
    message_id  bigint,
    received_at timestamptz NOT NULL DEFAULT now(),
    handled_at  timestamptz,
    attempts    integer NOT NULL DEFAULT 0,
    error       text
);
CREATE INDEX inbox_unhandled ON inbox (update_id) WHERE handled_at IS NULL;
CREATE INDEX inbox_position ON inbox (chat_id, message_id) WHERE message_id IS NOT NULL;

-- What is remembered of a chat: its chosen language of speech and how long Telegram asked us to be quiet in it.
CREATE TABLE chats (
    chat_id     bigint PRIMARY KEY,
    language    text,
    quiet_until timestamptz NOT NULL DEFAULT now()
);

-- One recording that somebody sent: its whole story in one row.
CREATE TABLE messages (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    update_id       bigint NOT NULL,
    chat_id         bigint NOT NULL,
    message_id      bigint NOT NULL,
    user_id         bigint NOT NULL,
    kind            text NOT NULL,
    file_id         text NOT NULL,
    file_unique_id  text NOT NULL,
    file_name       text,
    file_size       bigint,
    declared_seconds double precision,
    language        text NOT NULL,
    interface       text NOT NULL,
    state           text NOT NULL DEFAULT 'received' CHECK (state IN
                    ('received', 'stored', 'transcribing', 'transcribed', 'delivered', 'undeliverable')),
    outcome         text,
    error           text,
    store_attempts  integer NOT NULL DEFAULT 0,
    store_after     timestamptz NOT NULL DEFAULT now(),
    object_key      text,
    audio_seconds   double precision,
    complete        boolean NOT NULL DEFAULT true,
    segment_seconds double precision,
    segments        integer,
    text            text,
    words           jsonb,
    received_at     timestamptz NOT NULL DEFAULT now(),
    stored_at       timestamptz,
    queued_at       timestamptz,
    started_at      timestamptz,
    transcribed_at  timestamptz,
    answered_at     timestamptz,
    delivered_at    timestamptz,
    UNIQUE (chat_id, message_id)
);
CREATE INDEX messages_open ON messages (id) WHERE state NOT IN ('delivered', 'undeliverable');
CREATE INDEX messages_by_file ON messages (file_unique_id, language) WHERE outcome IS NOT NULL;
CREATE INDEX messages_by_object ON messages (object_key, language) WHERE outcome IS NOT NULL;

-- One piece of decoding: a whole recording (segment IS NULL) or one segment of a long one.
CREATE TABLE jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message      bigint NOT NULL REFERENCES messages ON DELETE CASCADE,
    segment      integer,
    user_id      bigint NOT NULL,
    lane         text NOT NULL CHECK (lane IN ('short', 'long')),
    seconds      double precision,
    object_key   text NOT NULL,
    starts_at    double precision NOT NULL DEFAULT 0,
    overlap      double precision NOT NULL DEFAULT 0,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'queued', 'started', 'done')),
    attempts     integer NOT NULL DEFAULT 0,
    dispatches   integer NOT NULL DEFAULT 0,
    not_before   timestamptz NOT NULL DEFAULT now(),
    worker       text,
    transcript   jsonb,
    decode_seconds double precision,
    error        text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    queued_at    timestamptz,
    started_at   timestamptz,
    finished_at  timestamptz,
    UNIQUE NULLS NOT DISTINCT (message, segment)
);
CREATE INDEX jobs_open ON jobs (lane, user_id, id) WHERE state <> 'done';

-- One message of ours as the user shall see it. It is sent once, then edited, until shown = version.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chat_id     bigint NOT NULL,
    message     bigint REFERENCES messages ON DELETE CASCADE,
    part        integer NOT NULL DEFAULT 0,
    reply_to    bigint,
    text        text NOT NULL,
    markup      jsonb,
    final       boolean NOT NULL DEFAULT true,
    version     integer NOT NULL DEFAULT 1,
    shown       integer NOT NULL DEFAULT 0,
    sending_at  timestamptz,
    after_id    bigint,
    sent_id     bigint,
    attempts    integer NOT NULL DEFAULT 0,
    not_before  timestamptz NOT NULL DEFAULT now(),
    failed_at   timestamptz,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    shown_at    timestamptz,
    UNIQUE (message, part)
);
CREATE INDEX outbox_due ON outbox (chat_id, id) WHERE shown < version AND failed_at IS NULL;
CREATE INDEX outbox_position ON outbox (chat_id, sent_id) WHERE sent_id IS NOT NULL;

-- Worker hosts that are alive, for the queue's depth and the length of segments.
CREATE TABLE workers (
    name        text PRIMARY KEY,
    concurrency integer NOT NULL,
    languages   text[] NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Create every table."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """Drop every table with its data."""
    op.execute("DROP TABLE workers, outbox, jobs, messages, chats, inbox")
