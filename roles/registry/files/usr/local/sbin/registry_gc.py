#!/usr/bin/python3
"""Collect the registry's garbage while nobody pushes.

1. Wait until users who may push have made no request for a while, and no write is in progress.
2. Block writes: while the file `frozen` exists, the proxy answers them with 503.
3. Look again; go back to 1 if a write came in between.
4. Collect. When this systemd unit ends, for whatever reason, `frozen` is removed with its folder.

usage: registry-gc CONFIG PROXY_STATE QUIET_SECONDS
"""

import subprocess
import sys
import time
from pathlib import Path

FROZEN = Path("/run/registry-gc/frozen")
CONNECTED = "03"
NOTHING_PUSHED_YET = "Path not found: /docker/registry/v2/repositories"


class Proxy:
    """The registry's proxy, whose state folder shows who is active."""

    def __init__(self, folder: Path) -> None:
        self._activity, self._writes = folder / "activity", folder / "writes.sock"

    def last_activity(self) -> float:
        """Return the time of the last request of a user who may push, or of the proxy's start if that was later."""
        return self._activity.stat().st_mtime if self._activity.exists() else 0.0

    def writes_under_way(self) -> bool:
        """Tell whether a write is on its way to the registry: each has its own connection to the socket of writes."""
        sockets = [line.split() for line in Path("/proc/self/net/unix").read_text().splitlines()[1:]]
        return any(fields[5] == CONNECTED and fields[7:] == [str(self._writes)] for fields in sockets)

    def wait_for_quiet(self, seconds: float) -> None:
        """Return when no write is in progress and the last activity is long enough ago."""
        while self.writes_under_way() or time.time() - self.last_activity() < seconds:
            time.sleep(1)

    def freeze(self) -> bool:
        """Block writes, and tell whether none came in just before."""
        before = self.last_activity()
        FROZEN.touch()
        time.sleep(1)
        if before == self.last_activity() and not self.writes_under_way():
            return True
        FROZEN.unlink()
        return False


def collect(config: str) -> int:
    """Remove what no manifest refers to, and return the exit status; images without tags stay: hosts pull by digest."""
    command = ("docker-registry", "garbage-collect", config)
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if NOTHING_PUSHED_YET in result.stdout:
        print("nothing was pushed yet")
        return 0
    print(result.stdout)
    return result.returncode


def main(config: str, folder: str, quiet_seconds: str) -> None:
    """Freeze in a quiet moment, and collect."""
    proxy = Proxy(Path(folder))
    proxy.wait_for_quiet(float(quiet_seconds))
    while not proxy.freeze():
        proxy.wait_for_quiet(float(quiet_seconds))
    sys.exit(collect(config))


if __name__ == "__main__":
    main(*sys.argv[1:])
