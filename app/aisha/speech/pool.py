"""Decodes segments side by side in processes forked from the one that loaded the model."""

import json
import os
import signal
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aisha.errors import AudioError
from aisha.speech.parentage import die_with_parent
from aisha.speech.recognizer import WarmRecognizer
from aisha.speech.transcript import Transcript

TASKS = 200
"""Segments that a process decodes before a new one takes its place: Kaldi's memory grows over hundreds."""

TRIES = 2


@dataclass(slots=True)
class Task:
    """Samples to decode (int16, 16 kHz mono), under a key of the caller's choice."""

    key: Hashable
    pcm: NDArray[np.int16]
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a task: a transcript, or the error that kept it from one."""

    key: Hashable
    transcript: Transcript | None
    error: AudioError | None = None


class Pool:
    """Up to `jobs` processes, forked when there is work for them.

    1. give a task to each idle process, forking one while there are fewer than `jobs`;
    2. hold one more task ready, so that none waits while the caller prepares the next;
    3. wait for an answer, or for a process to die;
    4. a dead process (a Kaldi assertion, no memory, kill -9) fails its task only at the second try;
    5. after 200 tasks a process is replaced.
    """

    def __init__(self, recognizer: WarmRecognizer, jobs: int) -> None:
        self._recognizer = recognizer
        self._jobs = jobs
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process at once."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()

    def decode(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Decode tasks as they come, and yield their results as they are ready."""
        waiting: list[Task] = []
        source = iter(tasks)
        more = True
        while True:
            while more and len(waiting) <= len(self._idle()):
                if (task := next(source, None)) is None:
                    more = False
                    break
                waiting.append(task)
                self._hand_out(waiting)
            self._hand_out(waiting)
            busy = [worker for worker in self._workers if worker.task]
            if not busy:
                return
            yield from self._answers(busy, waiting)

    def _idle(self) -> range:
        """Return as many places as could start a task now."""
        return range(self._jobs - sum(1 for worker in self._workers if worker.task))

    def _hand_out(self, waiting: list[Task]) -> None:
        while waiting and (worker := self._free_worker()):
            worker.begin(waiting.pop(0))

    def _free_worker(self) -> "_Worker | None":
        for worker in self._workers:
            if not worker.task and worker.done >= TASKS:
                self._drop(worker)
                break
        free = next((worker for worker in self._workers if not worker.task), None)
        if free is None and len(self._workers) < self._jobs:
            free = _Worker(self._recognizer, self._workers)
            self._workers.append(free)
        return free

    def _answers(self, busy: "list[_Worker]", waiting: list[Task]) -> Iterator[Result]:
        ready = wait([worker.connection for worker in busy])
        for worker in [worker for worker in busy if worker.connection in ready]:
            task = worker.task
            assert task is not None
            transcript = worker.finish()
            if transcript:
                yield Result(task.key, transcript)
                continue
            self._drop(worker)
            if task.tries < TRIES:
                waiting.insert(0, task)
            else:
                yield Result(task.key, None, AudioError(f"the recognizer crashed on it {TRIES} times"))

    def _drop(self, worker: "_Worker") -> None:
        worker.end()
        self._workers.remove(worker)


class _Worker:
    """One forked process with the parent's end of its pipe."""

    def __init__(self, recognizer: WarmRecognizer, siblings: "list[_Worker]") -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.done = 0
        self.pid = os.fork()
        if self.pid == 0:
            for ours in [self.connection, *(sibling.connection for sibling in siblings)]:
                ours.close()
            _serve(recognizer, theirs)
        theirs.close()

    def begin(self, task: Task) -> None:
        """Send a task; that the process is dead shows when the answer is read."""
        self.task = task
        task.tries += 1
        try:
            self.connection.send_bytes(np.ascontiguousarray(task.pcm).data.cast("B"))
        except OSError:
            return

    def finish(self) -> Transcript | None:
        """Read the answer; None when the process died."""
        self.task, self.done = None, self.done + 1
        try:
            value: dict[str, Any] = json.loads(self.connection.recv_bytes())
        except (EOFError, OSError, ValueError):
            return None
        return Transcript.from_json(value)

    def end(self) -> None:
        """Kill the process and wait for it."""
        self.connection.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _serve(recognizer: WarmRecognizer, connection: "Connection[Any, Any]") -> None:
    """Decode until the parent closes its end or ends; interrupts are the parent's to handle."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        while True:
            pcm = np.frombuffer(connection.recv_bytes(), np.int16)
            connection.send_bytes(json.dumps(recognizer.decode([pcm]).to_json()).encode())
    except EOFError:
        status = 0
    finally:
        os._exit(status)
