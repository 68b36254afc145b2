"""What the tests of bots and workers ask of a host: its containers, what they may do, and who sees their secrets."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

SERVICES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "vars" / "services.yml").read_text())
"""The roles' settings for the app's services; templates are not filled in."""

READABLE = "/etc /home /opt /root /run /srv /tmp /var"
NO_CAPABILITY = "0" * 16


def inside(host: str, *command: str, given: str | None = None) -> str:
    """Run a command on a host, which reads what is given; return what it prints."""
    full = ("docker", "exec", "--interactive", host, *command)
    return subprocess.run(full, input=given, capture_output=True, text=True, check=True).stdout


def containers(host: str, service: str, *options: str) -> dict[str, str]:
    """Return a service's containers that run on a host: their names and ids; with `--all` those that ended, too."""
    form = "--format={{.Names}} {{.ID}}"
    said = inside(host, "docker", "ps", f"--filter=label=aisha.service={service}", form, *options)
    return dict(line.split() for line in said.splitlines())


def inspected(host: str, service: str) -> list[dict[str, Any]]:
    """Return what Docker tells of a service's containers that run."""
    return list(json.loads(inside(host, "docker", "inspect", *containers(host, service))))


def liberties(host: Any, container: dict[str, Any], *paths: str) -> list[str]:
    """Return a container's privileges beyond its work, as its kernel sees them; it should be able to write none of the paths."""
    status = host.file(f"/proc/{container['State']['Pid']}/status").content_string
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    found = [each for each in ("CapEff", "CapPrm", "CapBnd", "CapAmb") if facts[each] != NO_CAPABILITY]
    if facts["Uid"].split() + facts["Gid"].split() != ["10001"] * 8:
        found.append("another user's rights")
    if facts["NoNewPrivs"] != "1":
        found.append("new privileges")
    for path in paths:
        tried = host.run(f"docker exec {container['Id']} python3 -c \"open('{path}', 'w')\"")
        if "Read-only file system" not in tried.stderr:
            found.append(f"writing {path}")
    return found


def seen_by_others(host: Any, secrets: list[str]) -> dict[str, str]:
    """Return where secrets are seen: in what Docker shows, command lines, the journal, and files that everybody may read.

    Raises:
        AssertionError: root does not find them either, so the search proves nothing.
    """
    inside(host.backend.host, "sh", "-c", "umask 077; cat > /root/secrets", given="\n".join(secrets))
    find = "grep --fixed-strings --file"
    looks = {
        "Docker": f"docker inspect $(docker ps -aq) $(docker images -q) | {find} /root/secrets",
        "command lines": f"cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | {find} /root/secrets",
        "the journal": f"journalctl --no-pager | {find} /root/secrets",
        "files": f"runuser -u nobody -- {find} - -rls {READABLE} < /root/secrets",
    }
    assert host.run(f"{find} /root/secrets -rls /var/lib/aisha").stdout
    found = {where: host.run(look).stdout for where, look in looks.items()}
    return {where: said for where, said in found.items() if said}
