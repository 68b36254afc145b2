"""The whole of Aisha as a user and an operator meet it: `aisha run`, and its sandbox in Telegram's place."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from aisha_embedded.services import erase

AISHA = Path(sys.executable).with_name("aisha")
START_SECONDS = 90
STATUS_SIGNS = ("🎧", "⏳")


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Tree:
    """One `aisha run` on a data folder of its own, which outlives restarts."""

    def __init__(self, data_dir: Path, models_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.web, self.health, self.worker_metrics = free_port(), free_port(), free_port()
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AISHA_")},
            "AISHA_DATA_DIR": str(data_dir),
            "AISHA_MODELS_DIR": str(models_dir),
            "AISHA_WEB_PORT": str(self.web),
            "AISHA_HEALTH_PORT": str(self.health),
            "AISHA_WORKER_METRICS_PORT": str(self.worker_metrics),
            **settings,
        }
        self.log = data_dir.with_name(data_dir.name + ".log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    def start(self) -> str:
        """Start and return the line that says where the web chat is."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [AISHA, "run"],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout
        line = self._process.stdout.readline().decode().strip()
        assert line, f"aisha run ended with {self._process.wait()}:\n{self.tail()}"
        return line

    def stop(self) -> int:
        """End as Ctrl-C does and return the exit status."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)

    def processes(self) -> list[psutil.Process]:
        """Return every process of the tree, the root first."""
        assert self._process
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]

    def named(self, part: str) -> list[psutil.Process]:
        """Return the processes with that part in their command line, parents first."""
        return [process for process in self.processes() if part in _command(process)]

    def one(self, part: str) -> psutil.Process:
        """Return the first, which is the parent, of the processes named so."""
        return self.named(part)[0]

    def workers(self) -> list[psutil.Process]:
        """Return the RQ workers, which the worker's parent forked beside the exporter and the reader of files."""
        parent = self.one("worker")
        others = {self.exporter().pid, *(reader.pid for reader in self.named("media.server"))}
        return [child for child in parent.children() if child.pid not in others]

    def exporter(self) -> psutil.Process:
        """Return the child of the worker's parent that listens for metrics."""
        parent = self.one("worker")
        return next(c for c in parent.children() if any(n.status == "LISTEN" for n in c.net_connections()))

    def kill(self, processes: Iterable[psutil.Process]) -> None:
        """Send SIGKILL to each; those that are already gone are fine."""
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue

    def kill_everything(self) -> None:
        """Send SIGKILL to every process of the tree at once."""
        assert self._process
        everything = self.processes()
        for process in everything:
            try:
                process.suspend()
            except psutil.NoSuchProcess:
                continue
        self.kill(everything)
        self._process.wait(10)
        psutil.wait_procs(everything, timeout=10)

    def setting(self, variable: str) -> str:
        """Return a setting that `aisha run` chose for its children."""
        lines = (self.data_dir / "secrets" / "environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[variable]

    def forget_recordings(self) -> None:
        """Forget every message, so that the same file is transcribed again."""
        with psycopg.connect(self.setting("AISHA_DATABASE_URL")) as connection:
            connection.execute("TRUNCATE messages CASCADE")

    def processes_left(self) -> bool:
        """Return whether the tree still runs."""
        return self._process is not None and self._process.poll() is None

    def tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def running(tree: Tree) -> Iterator[Tree]:
    """Start a tree; stop it at the end, or kill what a failure left behind, and remove its database cluster."""
    try:
        tree.start()
        yield tree
        tree.stop()
    finally:
        if tree.processes_left():
            tree.kill_everything()
        erase(tree.data_dir)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


@dataclass(frozen=True)
class Said:
    """A message of the bot in its present form."""

    message_id: int
    reply_to: int | None
    text: str
    edits: int
    raw: dict[str, Any]


class Telegram:
    """People who use Telegram: the sandbox's control API."""

    def __init__(self, url: str) -> None:
        self._url = url + "/sandbox/api"
        self._session = requests.Session()

    def call(self, verb: str, path: str, **options: Any) -> Any:
        """Call the control API and return its answer."""
        answer = self._session.request(verb, self._url + path, timeout=70, **options)
        assert answer.ok, f"{verb} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def person(self, name: str, language_code: str = "en") -> int:
        """Make a person and return the id of the private chat with the bot."""
        return int(
            self.call("POST", "/users", json={"first_name": name, "language_code": language_code})["id"]
        )

    def send_file(self, chat: int, path: Path, kind: str = "voice", **fields: Any) -> int:
        """Send a file as a person does and return the message's id."""
        sent = self.call("POST", f"/chats/{chat}/messages", data={"kind": kind, "path": str(path), **fields})
        return int(sent["message"]["message_id"])

    def send_text(self, chat: int, text: str) -> int:
        """Send a text and return the message's id."""
        return int(self.call("POST", f"/chats/{chat}/messages", data={"text": text})["message"]["message_id"])

    def said(self, chat: int) -> list[Said]:
        """Return what the bot's messages in a chat look like now."""
        found = self.call("GET", f"/chats/{chat}/messages")
        return [_said(one) for one in found["messages"] if one["from_bot"] and not one["deleted"]]

    def answers(self, chat: int, message_id: int) -> list[Said]:
        """Return the bot's replies to one message, statuses included."""
        return [said for said in self.said(chat) if said.reply_to == message_id]

    def answer(self, chat: int, message_id: int, seconds: float = 60) -> str:
        """Wait for the final answer to a message and return its text."""
        wait_for(
            lambda: [a for a in self.answers(chat, message_id) if is_final(a.text)], seconds, "an answer"
        )
        return "\n".join(said.text for said in self.answers(chat, message_id))

    def next_said(self, chat: int, after: int, seconds: float = 20) -> Said:
        """Wait for the bot's first message after one of ours."""
        wait_for(lambda: [said for said in self.said(chat) if said.message_id > after], seconds, "a message")
        return next(said for said in self.said(chat) if said.message_id > after)


def _said(found: dict[str, Any]) -> Said:
    message = found["message"]
    reply = message.get("reply_to_message") or {}
    return Said(
        message["message_id"],
        reply.get("message_id"),
        message.get("text", ""),
        len(found["history"]),
        message,
    )


def is_final(text: str) -> bool:
    """Return whether a text is an answer, not a status."""
    return not text.startswith(STATUS_SIGNS)


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the condition's first true value, asking ten times a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for {what}")
