"""What the sandbox knows, in one SQLite file that survives `kill -9` of the process.

Statements are short and synchronous, on the event loop: a commit appends to the write-ahead log, without fsync.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, profile TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chats (
    id INTEGER PRIMARY KEY, profile TEXT NOT NULL, bot_status TEXT NOT NULL, started INTEGER NOT NULL,
    last_message_id INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS members (
    chat_id INTEGER, user_id INTEGER, status TEXT NOT NULL, PRIMARY KEY (chat_id, user_id));
CREATE TABLE IF NOT EXISTS messages (
    chat_id INTEGER, message_id INTEGER, sender_id INTEGER NOT NULL, date INTEGER NOT NULL, edit_date INTEGER,
    reply_to INTEGER, content TEXT NOT NULL, keyboard TEXT, reactions TEXT NOT NULL DEFAULT '{}',
    deleted INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL, PRIMARY KEY (chat_id, message_id));
CREATE INDEX IF NOT EXISTS messages_by_version ON messages (version);
CREATE TABLE IF NOT EXISTS edits (
    chat_id INTEGER, message_id INTEGER, at REAL NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS edits_by_message ON edits (chat_id, message_id);
CREATE TABLE IF NOT EXISTS updates (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, update_id INTEGER NOT NULL, body TEXT NOT NULL,
    injected INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS updates_by_id ON updates (update_id);
CREATE TABLE IF NOT EXISTS contents (
    unique_id TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS files (
    file_id TEXT PRIMARY KEY, number INTEGER NOT NULL, unique_id TEXT NOT NULL, kind TEXT NOT NULL,
    file_path TEXT NOT NULL UNIQUE, media TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS callbacks (
    id TEXT PRIMARY KEY, at REAL NOT NULL, chat_id INTEGER, message_id INTEGER, user_id INTEGER, data TEXT,
    answer TEXT);
CREATE TABLE IF NOT EXISTS calls (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, method TEXT NOT NULL, chat_id INTEGER,
    params TEXT NOT NULL, status INTEGER, answer TEXT, seconds REAL, fault TEXT);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT NOT NULL, chat_id INTEGER, remaining INTEGER NOT NULL,
    rule TEXT NOT NULL);
"""


def dumps(value: Any) -> str:
    """Return compact JSON with letters of every alphabet kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class State:
    """The SQLite file, with JSON facts beside its tables."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(data_dir / "sandbox.sqlite3", isolation_level=None, timeout=5)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._depth = 0

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block wrote, all or nothing; blocks nest into the outermost."""
        self._depth += 1
        try:
            if self._depth == 1:
                self._db.execute("BEGIN IMMEDIATE")
            yield
        except BaseException:
            if self._depth == 1:
                self._db.execute("ROLLBACK")
            raise
        else:
            if self._depth == 1:
                self._db.execute("COMMIT")
        finally:
            self._depth -= 1

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute one statement."""
        return self._db.execute(sql, values)

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row."""
        found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return found

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._db.execute(sql, values).fetchall()

    def get(self, name: str, default: Any = None) -> Any:
        """Return a fact."""
        row = self.row("SELECT value FROM facts WHERE name = ?", name)
        return json.loads(row["value"]) if row else default

    def put(self, name: str, value: Any) -> None:
        """Record a fact; None forgets it."""
        if value is None:
            self.run("DELETE FROM facts WHERE name = ?", name)
        else:
            self.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, dumps(value))

    def next(self, counter: str, first: int = 1) -> int:
        """Return the next number of a counter."""
        number = int(self.get(counter, first))
        self.put(counter, number + 1)
        return number


def now() -> int:
    """Return the Unix time in whole seconds, as the Bot API's dates."""
    return int(time.time())
