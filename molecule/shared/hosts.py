#!/usr/bin/env python3
"""Test hosts: bare Debian servers with systemd and a Docker of their own, as containers on this machine.

1. `engine`: where no Docker engine runs and we are root, Debian's is installed and started, with its data in
   `.cache/hosts`; a running one is used as it is.
2. Images are made from the Debian archive by mmdebstrap, once, and kept as tar files in `.cache/hosts`.
3. All hosts are on one network and find each other by name; a host that is restarted keeps its address, as a server
   does. A cache beside them fetches each package once.
4. `down` removes hosts with their volumes, `down --all` everything that `up` and `engine` have made but the cache.

It needs the standard library only, so that it also runs before anything is installed.
"""

import argparse
import fcntl
import hashlib
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "hosts"
FACTS = CACHE.parent / "facts"
"""Where ansible.cfg keeps what is known of a host."""
NETWORK = "aisha-hosts"
APT_CACHE = "aisha-apt-cache"
RELEASES = ("bookworm", "trixie")
KINDS = (*RELEASES, "apt-cache")
"""The images that there are."""
PACKAGES = "ca-certificates,dbus,iproute2,iptables,procps,python3,python3-apt,sudo,systemd-sysv"
STARTED_SECONDS = 60
BRIDGE = re.compile(r"\bbr-[0-9a-f]{12}\b")
"""A Docker network's."""

INIT = """#!/bin/sh
# A host sees a cgroup v2 tree of its own, whatever the machine has; then it is systemd.
if mountpoint --quiet /proc/sys; then mount -o remount,rw /proc/sys; fi
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
exec /lib/systemd/systemd
"""
APT = f'Acquire::http::Proxy "http://{APT_CACHE}:3142"; Acquire::Languages "none";'
HOST_HOOKS = (
    f'printf %s \'{INIT}\' > "$1/sbin/test-host-init"; chmod 755 "$1/sbin/test-host-init"',
    f"printf %s '{APT}' > \"$1/etc/apt/apt.conf.d/00test-host\"",
    'echo force-unsafe-io > "$1/etc/dpkg/dpkg.cfg.d/test-host"',
    'rm -f "$1"/var/cache/apt/archives/*.deb',
)
HOST_OPTIONS = (*(f"--customize-hook={hook}" for hook in HOST_HOOKS), "--skip=cleanup/apt")
"""A host has the package lists of when its image was made, without descriptions, so that it fetches only what is newer. As it is lost
with its machine, dpkg need not wait for the disk after each file."""

HOST_CHANGES = ('CMD ["/sbin/test-host-init"]', "VOLUME /var/lib/docker", "ENV container=docker")
CACHE_CHANGES = ('CMD ["/usr/sbin/apt-cacher-ng", "-c", "/etc/apt-cacher-ng", "ForeGround=1", "Port:3142"]',)
FLAGS = (
    "--cap-add=SYS_ADMIN",
    "--cap-add=NET_ADMIN",
    "--cap-add=SYS_PTRACE",
    "--security-opt=seccomp=unconfined",
    "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined",
    "--cgroupns=private",
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--stop-signal=SIGRTMIN+3",
)
"""As little as systemd and a nested Docker need: both mount, Docker makes networks, and systemd gives units with
ProtectProc users of their own, which needs ptrace. Never `--privileged`."""


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("engine", help="start a Docker engine where there is none")
    verbs.add_parser("tars", help="make the images' root file systems, without an engine")
    verbs.add_parser("images", help="make the images, with an engine")
    packages = verbs.add_parser("packages", help="install Debian packages on this machine")
    packages.add_argument("package", nargs="+")
    up = verbs.add_parser("up", help="start hosts that do not run")
    up.add_argument(
        "host", nargs="+", help="NAME=RELEASE[:PORT] to publish that port of the host on loopback"
    )
    down = verbs.add_parser("down", help="remove hosts")
    down.add_argument("name", nargs="*")
    down.add_argument(
        "--all", action="store_true", help="every host, the network, the cache's server, the engine"
    )
    options = parser.parse_args()
    try:
        if options.verb == "engine":
            start_engine()
        elif options.verb == "tars":
            make_tars(KINDS)
        elif options.verb == "images":
            start_engine()
            make_images(KINDS)
        elif options.verb == "packages":
            install(*options.package)
        elif options.verb == "up":
            bring_up(dict(host.split("=", 1) for host in options.host))
        else:
            take_down(options.name, everything=options.all)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"{' '.join(map(str, error.cmd))}\nended with {error.returncode}: {error.stderr or ''}".strip()
        )


def docker(*arguments: str, check: bool = True) -> str:
    """Run a docker command and return what it printed."""
    return subprocess.run(("docker", *arguments), check=check, capture_output=True, text=True).stdout.strip()


def engine_runs() -> bool:
    """Tell whether an engine answers."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(("docker", "info"), capture_output=True, check=False).returncode == 0


def start_engine() -> None:
    """Install and start Docker unless one runs; its process outlives this one."""
    if engine_runs():
        return
    if os.geteuid() != 0:
        sys.exit("No Docker engine runs. Start one, or run this as root to have it installed and started")
    install("docker.io", "iptables")
    CACHE.mkdir(parents=True, exist_ok=True)
    rules = subprocess.run(("iptables-save",), capture_output=True, text=True, check=True).stdout
    (CACHE / "iptables").write_text(rules)
    restore_packet_filter()
    with (CACHE / "dockerd.log").open("w") as log:
        engine = subprocess.Popen(
            ("dockerd", "--data-root", CACHE / "docker", "--pidfile", CACHE / "dockerd.pid"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + STARTED_SECONDS
    while not engine_runs():
        if engine.poll() is not None or time.monotonic() > until:
            sys.exit(f"the Docker engine does not start: {(CACHE / 'dockerd.log').read_text()[-2000:]}")
        time.sleep(0.2)


def stop_engine() -> None:
    """Stop the engine that `start_engine` started, and put the packet filter back as it was."""
    if not (CACHE / "dockerd.pid").exists():
        return
    pid = int((CACHE / "dockerd.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    while (CACHE / "dockerd.pid").exists():
        time.sleep(0.1)
    subprocess.run(("ip", "link", "delete", "docker0"), capture_output=True, check=False)
    restore_packet_filter()


def restore_packet_filter() -> None:
    """Have the rules that were there before the engine, less those that engines which were killed have left."""
    links = {name for _, name in socket.if_nameindex()}
    before = without_lost_bridges((CACHE / "iptables").read_text(), links)
    empty = "".join(f"*{table}\nCOMMIT\n" for table in ("filter", "nat") if f"*{table}\n" not in before)
    subprocess.run(("iptables-restore",), input=before + empty, text=True, check=True)


def without_lost_bridges(rules: str, links: set[str]) -> str:
    """Return rules less those of Docker's networks whose bridge is gone: they would hide the hosts of a new one from each other."""
    return "".join(line for line in rules.splitlines(keepends=True) if set(BRIDGE.findall(line)) <= links)


def install(*packages: str) -> None:
    """Install the Debian packages that are missing."""
    missing = [p for p in packages if subprocess.run(("dpkg", "-s", p), capture_output=True).returncode]
    if missing and os.geteuid() != 0:
        sys.exit(f"The tests need these Debian packages: apt-get install {' '.join(missing)}")
    if missing:
        quiet = {"capture_output": True, "text": True, "check": True}
        subprocess.run(("apt-get", "update", "-qq"), **quiet)
        command = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
        subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, **quiet)


def image(kind: str) -> str:
    """Return the name of an image: it changes with what the image is made of."""
    digest = hashlib.sha256(
        "".join((PACKAGES, *HOST_OPTIONS, *HOST_CHANGES, *CACHE_CHANGES)).encode()
    ).hexdigest()
    return f"aisha-host:{kind}-{digest[:8]}"


def make_images(kinds: Sequence[str]) -> None:
    """Make the images that the engine does not have."""
    missing = [kind for kind in kinds if not docker("image", "ls", "-q", image(kind))]
    make_tars(missing)
    for kind in missing:
        changes = CACHE_CHANGES if kind == "apt-cache" else HOST_CHANGES
        docker("import", *(f"--change={change}" for change in changes), str(tar_of(kind)), image(kind))


def make_tars(kinds: Sequence[str]) -> None:
    """Make the root file systems that the cache does not have."""
    missing = [kind for kind in kinds if not tar_of(kind).exists()]
    if missing and not shutil.which("mmdebstrap"):
        install("mmdebstrap")
    with ThreadPoolExecutor() as pool:
        list(pool.map(make_tar, missing))


def tar_of(kind: str) -> Path:
    """Return where an image's root file system is kept."""
    return CACHE / f"{image(kind).partition(':')[2]}.tar"


def make_tar(kind: str) -> None:
    """Make a root file system from the Debian archive."""
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = tar_of(kind).with_suffix(".partial")
    subprocess.run(recipe(kind, partial), check=True, capture_output=True, text=True)
    partial.rename(tar_of(kind))


def recipe(kind: str, tar: Path) -> list[str]:
    """Return the command that makes an image's root file system."""
    release, packages = ("bookworm", "apt-cacher-ng") if kind == "apt-cache" else (kind, PACKAGES)
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--format=tar",
        f"--include={packages}",
        *(() if kind == "apt-cache" else HOST_OPTIONS),
        release,
        str(tar),
    ]


def bring_up(hosts: dict[str, str]) -> None:
    """Start hosts, given as name and release; those that run already stay as they are."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:  # another scenario may begin at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        start_engine()
        releases = tuple({release.partition(":")[0] for release in hosts.values()})
        make_images((*releases, "apt-cache"))
        have_network()
        _, cache_address, *addresses = map(str, ipaddress.ip_network(network("Subnet")).hosts())
        start_apt_cache(cache_address)
        running = docker("ps", f"--filter=label={NETWORK}", "--format={{.Names}}").split()
        stopped = [name for name in hosts if name not in running]
        for name in stopped:
            docker("rm", "--force", "--volumes", name, check=False)
        taken = docker(
            "ps", "--all", f"--filter=label={NETWORK}", f'--format={{{{.Label "{NETWORK}"}}}}'
        ).split()
        free = [address for address in addresses if address not in taken]
        for name, address in zip(stopped, free, strict=False):
            create_host(name, hosts[name], address)
    with ThreadPoolExecutor() as pool:
        list(pool.map(start_host, stopped))


def have_network() -> None:
    """Create the hosts' network, on a subnet that Docker finds free, unless it is there.

    Docker takes a host's wish for an address only where the network was created with a subnet, so it is created anew.
    """
    if docker("network", "ls", "-q", f"--filter=name=^{NETWORK}$"):
        return
    docker("network", "create", NETWORK)
    found = [f"--{key.lower()}={network(key)}" for key in ("Subnet", "Gateway")]
    docker("network", "rm", NETWORK)
    docker("network", "create", *found, NETWORK)


def network(key: str) -> str:
    """Return the Subnet or the Gateway of the hosts' network."""
    return docker("network", "inspect", NETWORK, f"--format={{{{(index .IPAM.Config 0).{key}}}}}")


def address_of(name: str) -> str:
    """Return a host's address on the hosts' network."""
    return docker("inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)


def stranger_reaches(address: str, port: int) -> bool:
    """Tell whether somebody on the hosts' network who is none of them can connect to a port."""
    knock = ("docker", "exec", APT_CACHE, "timeout", "2", "bash", "-c", f"</dev/tcp/{address}/{port}")
    return subprocess.run(knock, capture_output=True, check=False).returncode == 0


def start_apt_cache(address: str) -> None:
    """Start the cache that all hosts fetch their packages through."""
    if docker("ps", "-q", f"--filter=name=^{APT_CACHE}$"):
        return
    docker("rm", "--force", APT_CACHE, check=False)
    packages = CACHE / "apt"
    packages.mkdir(parents=True, exist_ok=True)
    packages.chmod(0o777)  # the server inside has a user of its own
    volume = f"{packages}:/var/cache/apt-cacher-ng"
    docker(
        "run",
        "--detach",
        "--init",
        f"--name={APT_CACHE}",
        f"--network={NETWORK}",
        f"--ip={address}",
        "--volume",
        volume,
        image("apt-cache"),
    )


def create_host(name: str, wanted: str, address: str) -> None:
    """Create one host, whose label says its address."""
    release, _, port = wanted.partition(":")
    publish = [f"--publish=127.0.0.1:{port}:{port}"] if port else []
    identity = [f"--name={name}", f"--hostname={name}", f"--label={NETWORK}={address}"]
    for facts in FACTS.glob(f"*_{name}"):
        facts.unlink()  # of an earlier host of this name
    docker("create", *identity, f"--network={NETWORK}", f"--ip={address}", *publish, *FLAGS, image(release))


def start_host(name: str) -> None:
    """Start one host with fresh package lists, and wait until systemd has started everything."""
    docker("start", name)
    wait_for_host(name)
    docker("exec", name, "apt-get", "update", "-qq")


def wait_for_host(name: str) -> None:
    """Wait until a host's systemd has started what it starts."""
    until = time.monotonic() + STARTED_SECONDS
    while (state := docker("exec", name, "systemctl", "is-system-running", check=False)) not in (
        "running",
        "degraded",
    ):
        if time.monotonic() > until:
            sys.exit(
                f"{name} does not start: systemd says {state!r}\n{docker('logs', name, check=False)[-2000:]}"
            )
        time.sleep(0.1)


def names() -> list[str]:
    """Return every host's name, whether it runs or not."""
    return docker("ps", "--all", f"--filter=label={NETWORK}", "--format={{.Names}}").split()


def take_down(wanted: list[str], *, everything: bool) -> None:
    """Remove hosts and their volumes; with `everything` all hosts, and what they stood on."""
    if not engine_runs():
        return
    if everything:
        wanted = names()
    if wanted:
        docker("rm", "--force", "--volumes", *wanted, check=False)
    if everything:
        docker("rm", "--force", APT_CACHE, check=False)
        docker("network", "rm", NETWORK, check=False)
        stop_engine()


if __name__ == "__main__":
    main()
