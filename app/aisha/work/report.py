"""How work-horses report what they did: datagrams to the one process of the host that exports the metrics.

A work-horse lives for one job, so it cannot be scraped; the exporter outlives them all and is forked before
any model is loaded, so it stays small.
"""

import asyncio
import contextlib
import errno
import json
import os
import resource
import signal
import socket
import time
from typing import Any

from aisha import metrics
from aisha.forking import die_with_parent
from aisha.health import Checks, HealthServer

SILENT_SECONDS = 45
UNUSABLE = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES)
PORT_TAKEN = 98
"""The exporter's exit status when its port cannot be used."""


class Report:
    """The sending end; a report that cannot be delivered is dropped, never waited for."""

    def __init__(self) -> None:
        self._channel, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.setblocking(False)
        self._cpu_before = 0.0

    def start_exporter(self, host: str, port: int) -> int:
        """Fork the exporter and return its process id; the first one before any model is loaded, so it stays small."""
        if pid := os.fork():
            return pid
        status = 1
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
            Exporter(self._far, host, port).serve()
        except OSError as error:
            status = PORT_TAKEN if error.errno in UNUSABLE else 1
        finally:
            os._exit(status)

    def begin(self) -> None:
        """Mark the beginning of a work-horse's job; it dies with the worker that forked it."""
        die_with_parent()
        self._cpu_before = _cpu_seconds()

    def read(self, seconds: float) -> None:
        """Count the CPU time of the process that read this job's recording."""
        self._cpu_before -= seconds

    def job(self, lane: str, result: str, seconds: float) -> None:
        """Report how a job ended, its wall time and its CPU time since `begin`, in seconds."""
        self._send(
            job={"lane": lane, "result": result}, seconds=seconds, cpu=_cpu_seconds() - self._cpu_before
        )

    def audio(self, language: str, seconds: float) -> None:
        """Report how much audio was recognised."""
        self._send(audio={"language": language}, seconds=seconds)

    def killed(self) -> None:
        """Report that a work-horse died during its job."""
        self._send(job={"lane": "unknown", "result": "killed"}, seconds=0, cpu=0)

    def alive(self, workers: int, checks: Checks) -> None:
        """Report how many RQ workers run, and the state of their services."""
        self._send(alive={"workers": workers, "checks": checks})

    def _send(self, **report: Any) -> None:
        with contextlib.suppress(OSError):
            self._channel.send(json.dumps(report).encode())


class Exporter:
    """The receiving end: counts what is reported and answers /metrics and /health.

    1. It waits for datagrams and adds them up.
    2. It is ready while reports, one every ten seconds, say that the workers and their services are up; the first one
       comes when the models are loaded.
    3. It dies with the parent of the workers.
    """

    def __init__(self, channel: socket.socket, host: str, port: int) -> None:
        self._channel = channel
        self._alive_at = 0.0
        self._told: Checks = {}
        self._server = HealthServer(host, port, self._check)

    def serve(self) -> None:
        """Serve until this process ends."""
        die_with_parent()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        await self._server.start()
        self._channel.setblocking(False)
        loop = asyncio.get_running_loop()
        while True:
            report = json.loads(await loop.sock_recv(self._channel, 65536))
            if "alive" in report:
                self._alive_at, self._told = time.monotonic(), report["alive"]["checks"]
            count(report)

    async def _check(self) -> Checks:
        if not self._alive_at:
            return {"workers": "the models are being loaded"}
        silent = time.monotonic() - self._alive_at
        workers = "ok" if silent < SILENT_SECONDS else f"no report for {silent:.0f} s"
        return {"workers": workers, **self._told}


def count(report: dict[str, Any]) -> None:
    """Add one report to the metrics."""
    if job := report.get("job"):
        metrics.JOBS.labels(**job).inc()
        metrics.DECODE_SECONDS.labels(job["lane"]).observe(report["seconds"])
        metrics.CPU_SECONDS.labels(job["lane"]).inc(report["cpu"])
    elif audio := report.get("audio"):
        metrics.AUDIO_SECONDS.labels(**audio).inc(report["seconds"])
    elif alive := report.get("alive"):
        metrics.WORKERS.set(alive["workers"])


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
