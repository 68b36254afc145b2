"""Docker Swarm's own rolling update, under the same load, on a host of the rehearsal, to compare with.

One host becomes a Swarm of itself. It runs as many bots as all hosts did, of the same image with the same confinement,
and an Nginx that asks Docker's DNS for them each second, since Swarm's own balancing needs IPVS, which not every kernel
has. The rehearsal's proxy passes updates to that one, and all bots of the rehearsal are stopped meanwhile.
"""

import json
import shlex
from types import TracebackType
from typing import Self

from tests.bench.roll.rehearsal import (
    READY,
    RELEASES,
    RehearsalError,
    bots_of,
    inside,
    load,
    manifest,
    put,
    running,
)

FOLDER = "/root/bench-swarm"
NETWORK = "bench"
DAEMON = "/etc/docker/daemon.json"
PROXY_IMAGE = "aisha-bench-nginx"
PROXY = """
daemon off;
events { worker_connections 4096; }
http {
    access_log off;
    resolver 127.0.0.11 valid=1s;
    server {
        listen 8080;
        location / {
            set $bots http://bot:PORT;
            proxy_pass $bots;
            proxy_connect_timeout 1s;
        }
    }
}
"""
DOCKERFILE = """
FROM {base}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light
COPY nginx.conf /etc/nginx/nginx.conf
CMD ["nginx"]
"""
MONITOR_SECONDS = 22
"""As long as our own releases watch new containers."""


class Swarm:
    """A Swarm in place of the rehearsal's bots, as long as the context lasts.

    Raises:
        RehearsalError: it did not go as expected.
    """

    def __init__(self, host: str, others: list[str], newer: str, base: str) -> None:
        """`newer` is the image to update to, `base` one of Debian on this machine."""
        self._host, self._others, self._newer, self._base = host, others, newer, base
        self._stopped: dict[str, list[str]] = {}

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def deploy(self) -> None:
        """Another image."""
        self._docker("service", "update", "--quiet", "--no-resolve-image", f"--image={self._newer}", "bot")
        self._ended("completed")

    def bad_image(self) -> None:
        """A bot that exits at start: Swarm is to roll back automatically."""
        self._docker("service", "update", "--quiet", "--args=bot --no-such-option", "bot")
        self._ended("rollback_completed")

    def rollback(self) -> None:
        """Back to the image before."""
        old = self._manifest["image"]
        self._docker("service", "update", "--quiet", "--no-resolve-image", f"--image={old}", "bot")
        self._ended("completed")

    def _begin(self) -> None:
        self._release = running(self._host)
        self._manifest = manifest(self._host)
        self._stop_bots()
        daemon = json.loads(inside(self._host, "cat", DAEMON))
        self._run(f"mv {DAEMON} {DAEMON}.before")
        # Where containers outlive the engine, there can be no Swarm.
        put(self._host, DAEMON, json.dumps(daemon | {"live-restore": False}))
        self._run("systemctl restart docker")
        self._docker("swarm", "init", "--advertise-addr=eth0")
        self._run("iptables -I DOCKER-USER -i docker_gwbridge -j RETURN")
        self._docker("network", "create", "--driver=overlay", NETWORK)
        self._start_bots()
        self._start_proxy()

    def _end(self) -> None:
        self._run("docker swarm leave --force || true")
        self._run("iptables -D DOCKER-USER -i docker_gwbridge -j RETURN || true")
        self._run(
            f"! test -e {DAEMON}.before || {{ mv {DAEMON}.before {DAEMON} && systemctl restart docker; }}"
        )
        for host, names in self._stopped.items():
            inside(host, "docker", "start", *names)

    def _stop_bots(self) -> None:
        for host in (self._host, *self._others):
            self._stopped[host] = bots_of(host)
            inside(host, "docker", "stop", *self._stopped[host])

    def _start_bots(self) -> None:
        options = self._manifest["options"]
        self._docker(
            "service",
            "create",
            "--quiet",
            "--name=bot",
            "--no-resolve-image",
            f"--network={NETWORK}",
            "--endpoint-mode=dnsrr",
            f"--replicas={sum(map(len, self._stopped.values()))}",
            "--update-order=start-first",
            "--rollback-order=start-first",
            f"--update-parallelism={options['instances']}",
            f"--rollback-parallelism={options['instances']}",
            f"--update-monitor={MONITOR_SECONDS}s",
            "--update-failure-action=rollback",
            f"--health-cmd=python3 -c {shlex.quote(READY)}",
            "--health-interval=2s",
            f"--stop-grace-period={options['drain_seconds']}s",
            f"--user={options['user']}",
            "--read-only",
            "--cap-drop=ALL",
            f"--limit-pids={options['pids']}",
            f"--limit-memory={options['memory_mib']}m",
            f"--mount=type=tmpfs,target=/tmp,tmpfs-size={options['scratch_mib']}m,tmpfs-mode=1777",
            f"--mount=type=bind,source={RELEASES}/{self._release}/secrets,target=/run/secrets,readonly",
            *(f"--env={key}={value}" for key, value in self._manifest["environment"].items()),
            self._manifest["image"],
            *options["command"],
        )

    def _start_proxy(self) -> None:
        """Start the Nginx where the rehearsal's proxy looks for a bot."""
        options = self._manifest["options"]
        port = next(each for each in options["ports"] if each["container"] != options["ready_port"])
        load(self._host, self._base)
        self._run(f"mkdir -p {FOLDER}")
        put(self._host, f"{FOLDER}/Dockerfile", DOCKERFILE.format(base=self._base))
        put(self._host, f"{FOLDER}/nginx.conf", PROXY.replace("PORT", str(port["container"])))
        self._docker("build", "--quiet", "--network=host", f"--tag={PROXY_IMAGE}", FOLDER)
        published = f"--publish=mode=host,published={port['host']},target=8080"
        mode = ("--endpoint-mode=dnsrr", f"--network={NETWORK}", "--no-resolve-image")
        self._docker("service", "create", "--quiet", "--name=proxy", *mode, published, PROXY_IMAGE)

    def _ended(self, wanted: str) -> None:
        state = self._docker("service", "inspect", "bot", "--format={{.UpdateStatus.State}}")
        if state != wanted:
            raise RehearsalError(f"Swarm's update ended as {state!r}, not {wanted!r}")

    def _docker(self, *arguments: str) -> str:
        return inside(self._host, "docker", *arguments)

    def _run(self, script: str) -> str:
        return inside(self._host, "sh", "-c", script)
