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

import hosts

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
INVENTORY = ("-i", "inventories/rehearsal")
HOSTS = {"services": "trixie", "app-1": "bookworm", "app-2": "trixie"}
SANDBOX = hosts.CACHE / "sandbox"
PORT = 8080
STARTED_SECONDS = 30


def main() -> None:
    """Bring it up, or take it down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = ["up", "down", "sandbox-up", "sandbox-down"]
    parser.add_argument("verb", choices=verbs, help="those of the sandbox start and stop that alone")
    verb = parser.parse_args().verb
    if verb == "up":
        hosts.bring_up(HOSTS)
        play("molecule/site/prepare.yml")
        play("site.yml")
        print(f"\nready http://127.0.0.1:{PORT}   the chat with the bot")
        print("logs  docker exec app-1 journalctl --follow CONTAINER_TAG=aisha-bot-1-a")
    elif verb == "sandbox-up":
        start_sandbox()
    else:
        stop_sandbox()
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


def start_sandbox() -> None:
    """Start the sandbox unless it answers; it outlives this process."""
    if answers():
        return
    gateway = hosts.network("Gateway")
    SANDBOX.mkdir(parents=True, exist_ok=True)
    command = (BIN / "aisha", "sandbox", "--port", str(PORT), "--strict-port", "--data-dir", SANDBOX)
    with (SANDBOX / "log").open("a") as log:
        started = subprocess.Popen(
            (*command, "--bot-api-address", gateway),
            env=os.environ | {"AISHA_SANDBOX_TOKEN": token()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (SANDBOX / "pid").write_text(str(started.pid))
    until = time.monotonic() + STARTED_SECONDS
    while not answers():
        if started.poll() is not None or time.monotonic() > until:
            sys.exit(f"the sandbox does not start:\n{(SANDBOX / 'log').read_text()[-2000:]}")
        time.sleep(0.1)


def token() -> str:
    """Return the bot's token, as molecule/site/prepare.yml has made it."""
    return f"1000001:{(hosts.CACHE / 'bot-token').read_text().split()[0]}"


def answers() -> bool:
    """Tell whether our sandbox answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/bot{token()}/getMe", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def stop_sandbox() -> None:
    """Stop the sandbox that `start_sandbox` started."""
    try:
        pid = int((SANDBOX / "pid").read_text())
        if b"sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
        (SANDBOX / "pid").unlink()
    except FileNotFoundError:
        return


if __name__ == "__main__":
    main()
