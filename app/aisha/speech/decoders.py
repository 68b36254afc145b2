"""Decodes segments in parallel, in processes forked from the one that loaded the model."""

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
from aisha.forking import die_with_parent
from aisha.speech.engine import Recogniser
from aisha.speech.transcript import Transcript

TASKS = 200
"""Segments that a process decodes before a new one takes its place: an engine's memory grows over hundreds."""

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


class Decoders:
    """Up to `jobs` processes, forked when there is work for them.

    1. give a task to each idle process, forking one while there are fewer than `jobs`;
    2. hold one more task ready, so that none waits while the caller prepares the next;
    3. wait for an answer, or for a process to die;
    4. a dead process (an engine's assertion, no memory, kill -9) fails its task only at the second try;
    5. after 200 tasks a process is replaced.
    """

    def __init__(self, recogniser: Recogniser, jobs: int) -> None:
        self._recogniser = recogniser
        self._jobs = jobs
        self._decoders: list[_Decoder] = []

    def __enter__(self) -> "Decoders":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process at once."""
        for decoder in self._decoders:
            decoder.end()
        self._decoders.clear()

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
            busy = [decoder for decoder in self._decoders if decoder.task]
            if not busy:
                return
            yield from self._answers(busy, waiting)

    def _idle(self) -> range:
        """Return as many places as could start a task now."""
        return range(self._jobs - sum(1 for decoder in self._decoders if decoder.task))

    def _hand_out(self, waiting: list[Task]) -> None:
        while waiting and (decoder := self._free_decoder()):
            decoder.begin(waiting.pop(0))

    def _free_decoder(self) -> "_Decoder | None":
        for decoder in self._decoders:
            if not decoder.task and decoder.done >= TASKS:
                self._drop(decoder)
                break
        free = next((decoder for decoder in self._decoders if not decoder.task), None)
        if free is None and len(self._decoders) < self._jobs:
            free = _Decoder(self._recogniser, self._decoders)
            self._decoders.append(free)
        return free

    def _answers(self, busy: "list[_Decoder]", waiting: list[Task]) -> Iterator[Result]:
        ready = wait([decoder.connection for decoder in busy])
        for decoder in [decoder for decoder in busy if decoder.connection in ready]:
            task = decoder.task
            assert task is not None
            transcript = decoder.finish()
            if transcript:
                yield Result(task.key, transcript)
                continue
            self._drop(decoder)
            if task.tries < TRIES:
                waiting.insert(0, task)
            else:
                yield Result(task.key, None, AudioError(f"the recogniser crashed on it {TRIES} times"))

    def _drop(self, decoder: "_Decoder") -> None:
        decoder.end()
        self._decoders.remove(decoder)


class _Decoder:
    """One forked process with the parent's end of its pipe."""

    def __init__(self, recogniser: Recogniser, siblings: "list[_Decoder]") -> None:
        self.connection, theirs = Pipe()
        self.task: Task | None = None
        self.done = 0
        self.pid = os.fork()
        if self.pid == 0:
            for ours in [self.connection, *(sibling.connection for sibling in siblings)]:
                ours.close()
            _serve(recogniser, theirs)
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


def _serve(recogniser: Recogniser, connection: "Connection[Any, Any]") -> None:
    """Decode until the parent closes its end or ends; interrupts are the parent's to handle."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        while True:
            pcm = np.frombuffer(connection.recv_bytes(), np.int16)
            connection.send_bytes(json.dumps(recogniser.decode([pcm]).to_json()).encode())
    except EOFError:
        status = 0
    finally:
        os._exit(status)
