#!/usr/bin/env python3
"""`make rehearsal`: a whole production on this machine, by the real `site.yml`, with the sandbox standing for Telegram.

1. Three test hosts are started: `services`, `app-1` and `app-2`.
2. What an operator has before the first run is made: a key, a token, the secrets.
3. The sandbox is started. Its web chat is on loopback; the hosts reach its Bot API, and nothing else of it.
4. `site.yml` is run. Run again, all this changes only what has changed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import hosts

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
INVENTORY = ("-i", "inventories/rehearsal")
HOSTS = {"services": "trixie", "app-1": "bookworm", "app-2": "trixie"}
PORT = 8080
STARTED_SECONDS = 30


def main() -> None:
    """Bring it up, or take it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = ["up", "down", "sandbox-up", "sandbox-down"]
    parser.add_argument("verb", choices=verbs, help="those of the sandbox start and stop that alone")
    parser.add_argument("--folder", default="sandbox", help="of the sandbox in .cache/hosts")
    parser.add_argument("--port", type=int, default=PORT, help="of the sandbox")
    options = parser.parse_args()
    verb, sandbox = options.verb, Sandbox(hosts.CACHE / options.folder, options.port)
    if verb == "up":
        hosts.bring_up(HOSTS)
        play("molecule/site/prepare.yml")
        play("site.yml")
        print(f"\nready http://127.0.0.1:{PORT}   the chat with the bot")
        print("logs  docker exec app-1 journalctl --follow CONTAINER_TAG=aisha-bot-1-a")
    elif verb == "sandbox-up":
        sandbox.start()
    else:
        sandbox.stop()
    if verb == "down":
        hosts.take_down([*HOSTS], everything=False)
        if hosts.engine_runs() and not hosts.names():
            hosts.take_down([], everything=True)


def begin(playbook: str, *arguments: str) -> "subprocess.Popen[str]":
    """Begin to run a playbook as its operator does; its `stdout` has all that it prints.

    Its session is its own, so that it can be killed with all that it has started.
    """
    return subprocess.Popen(
        (BIN / "ansible-playbook", *INVENTORY, playbook, *arguments),
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def play(playbook: str) -> None:
    """Run a playbook; end as it ends when it fails."""
    done = subprocess.run((BIN / "ansible-playbook", *INVENTORY, playbook), cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


class Sandbox(NamedTuple):
    """What stands for Telegram: each has a folder and a port of its own, and all know the same bot."""

    folder: Path
    port: int

    def start(self) -> None:
        """Start it unless it answers; it outlives this process."""
        if self.answers():
            return
        hosts.have_network()
        gateway = hosts.network("Gateway")
        self.folder.mkdir(parents=True, exist_ok=True)
        command = (
            BIN / "aisha",
            "sandbox",
            "--port",
            str(self.port),
            "--strict-port",
            "--data-dir",
            self.folder,
        )
        with (self.folder / "log").open("a") as log:
            started = subprocess.Popen(
                (*command, "--bot-api-address", gateway),
                env=os.environ | {"AISHA_SANDBOX_TOKEN": token()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        (self.folder / "pid").write_text(str(started.pid))
        until = time.monotonic() + STARTED_SECONDS
        while not self.answers():
            if started.poll() is not None or time.monotonic() > until:
                sys.exit(f"the sandbox does not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Tell whether it is ours and answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/bot{token()}/getMe", timeout=2
            ) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self) -> None:
        """Stop what `start` started."""
        try:
            pid = int((self.folder / "pid").read_text())
            if b"sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGTERM)
            (self.folder / "pid").unlink()
        except FileNotFoundError:
            return


def token() -> str:
    """Return the bot's token, as molecule/shared/operator.yml has made it."""
    return f"1000001:{(hosts.CACHE / 'bot-token').read_text().split()[0]}"


if __name__ == "__main__":
    main()
