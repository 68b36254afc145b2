"""Docker as the hosts around it and its operators find it."""

import json
import subprocess
import time

import pytest
from hosts import address_of
from plays import play

HOSTS = {"docker-bookworm": "docker-trixie", "docker-trixie": "docker-bookworm"}
ALLOWED, UNLISTED, FOR_OTHERS = 8081, 8082, 8083
CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3) as connection:
        connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print("answered" if connection.recv(4) == b"HTTP" else "silent")
except OSError:
    print("refused")
"""


def inside(name, *command, check=True):
    """Return what a command prints on a host."""
    return subprocess.run(
        ("docker", "exec", name, *command), check=check, capture_output=True, text=True
    ).stdout.strip()


def reach(source, target, port):
    """Tell whether a port of one host answers another."""
    return inside(source, "python3", "-c", CONNECT, target, str(port))


def dockerd(host):
    """Return the process id of the running daemon."""
    return host.check_output("systemctl show --property=MainPID --value docker")


def started(host, container):
    """Return when a container was started, and the process in it."""
    return host.check_output("docker inspect --format '{{.State.StartedAt}} {{.State.Pid}}' " + container)


@pytest.fixture(autouse=True, scope="module")
def containers(host):
    """Run a web server behind each port, from an image that is made of one static program."""
    host.check_output(
        "program=$(readlink -f $(command -v busybox)) && tar -C ${program%/*} -c ${program##*/}"
        " | docker import --change 'ENTRYPOINT [\"/busybox\"]' - box"
    )
    for port in (ALLOWED, UNLISTED, FOR_OTHERS):
        host.run(f"docker rm -f web-{port}")
        run = f"docker run --detach --restart=always --name web-{port} --publish {port}:{port}"
        # A PID 1 that ignores SIGTERM would delay the restart of its host.
        host.check_output(f"{run} box sh -c 'trap exit TERM; /busybox httpd -f -p {port} & wait'")
        while reach(host.backend.host, "127.0.0.1", port) != "answered":
            time.sleep(0.1)


def test_only_listed_sources_reach_published_ports(host):
    name = host.backend.host
    assert reach(HOSTS[name], name, ALLOWED) == "answered"
    assert reach(HOSTS[name], name, UNLISTED) == "refused"
    assert reach(HOSTS[name], name, FOR_OTHERS) == "refused"


def test_the_host_itself_reaches_every_published_port(host):
    name = host.backend.host
    assert [reach(name, "127.0.0.1", port) for port in (ALLOWED, UNLISTED)] == ["answered"] * 2


@pytest.mark.alone  # containers of both hosts have the same addresses
def test_nobody_reaches_a_container_around_its_published_port(host):
    name, source = host.backend.host, HOSTS[host.backend.host]
    container = host.check_output(
        "docker inspect --format '{{.NetworkSettings.IPAddress}}' " + f"web-{ALLOWED}"
    )
    inside(source, "ip", "route", "replace", f"{container}/32", "via", address_of(name))
    try:
        assert reach(source, container, ALLOWED) == "refused"
        host.check_output("iptables -I DOCKER-USER -j RETURN")
        assert reach(source, container, ALLOWED) == "answered"
    finally:
        inside(source, "ip", "route", "delete", f"{container}/32")
        host.check_output("systemctl reload docker-firewall")


def test_containers_reach_the_outside_and_each_other(host):
    outside = address_of(HOSTS[host.backend.host])
    assert host.check_output(f"docker run --rm box wget -q -O - http://{outside}:5001/v2/") == "{}"
    host.check_output("docker network create pair")
    try:
        host.check_output("docker run --detach --rm --name left --network pair box httpd -f -p 80 -h /")
        answer = host.run("docker run --rm --network pair box wget -O - http://left/ 2>&1").stdout
        assert "404" in answer
    finally:
        host.run("docker rm -f left; docker network rm pair")


def test_networks_are_made_from_the_pool(host):
    subnet = "{{(index .IPAM.Config 0).Subnet}}"
    assert host.check_output(f"docker network inspect --format '{subnet}' bridge").startswith("172.24.")


def test_containers_live_through_a_restart_of_the_daemon_and_stay_filtered(host):
    name, before, daemon = host.backend.host, started(host, f"web-{ALLOWED}"), dockerd(host)
    host.check_output("systemctl restart docker")
    assert dockerd(host) != daemon
    assert started(host, f"web-{ALLOWED}") == before
    assert reach(HOSTS[name], name, ALLOWED) == "answered"
    assert reach(HOSTS[name], name, UNLISTED) == "refused"


def test_rules_that_were_lost_are_back_after_a_restart(host):
    name = host.backend.host
    host.check_output("iptables -F DOCKER-USER")
    assert reach(HOSTS[name], name, UNLISTED) == "answered"
    host.check_output("systemctl restart docker")
    assert reach(HOSTS[name], name, UNLISTED) == "refused"


def test_docker_does_not_start_without_the_filter(host):
    host.check_output(
        "mv /etc/docker/firewall.v4 /etc/docker/firewall.lost; systemctl stop docker.socket docker"
    )
    try:
        assert host.run("systemctl start docker").rc != 0
    finally:
        # systemd allows three starts in a minute, and counts those of earlier tests
        host.check_output(
            "mv /etc/docker/firewall.lost /etc/docker/firewall.v4;"
            " systemctl reset-failed docker docker.socket docker-firewall; systemctl start docker"
        )


def test_the_api_is_on_a_socket_for_its_group_only(host):
    socket = host.file("/run/docker.sock")
    assert (socket.user, socket.group, socket.mode) == ("root", "docker", 0o660)
    listening = host.run("ss -Hltnp | grep dockerd").stdout.splitlines()
    assert {int(line.split()[3].rsplit(":", 1)[1]) for line in listening} <= {ALLOWED, UNLISTED, FOR_OTHERS}
    assert host.check_output("getent group docker").endswith(":games")


def test_processes_in_containers_gain_no_privileges(host):
    assert "1" in host.check_output("docker run --rm box grep NoNewPrivs /proc/self/status")


def test_logs_are_rotated(host):
    log = json.loads(
        host.check_output("docker inspect --format '{{json .HostConfig.LogConfig}}' " + f"web-{ALLOWED}")
    )
    assert log["Type"] == "json-file"
    assert log["Config"]["max-size"] == "10m"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"live-restor": True}, "live-restor"),
        ({"icc": "perhaps"}, "of type bool"),
        ({"hosts": ["tcp://0.0.0.0:2375"]}, "docker_daemon has hosts"),
    ],
)
def test_wrong_settings_are_refused_and_docker_goes_on(host, settings, said):
    before = host.file("/etc/docker/daemon.json").content_string, dockerd(host)
    done = play(limit=host.backend.host, docker_daemon=settings)
    assert not done.succeeded
    assert said in done.said
    assert (host.file("/etc/docker/daemon.json").content_string, dockerd(host)) == before


def test_registries_are_trusted_and_distrusted_while_docker_goes_on(host):
    name = host.backend.host
    private, plain = f"{name}:5000/box", f"{name}:5001/box"
    before = dockerd(host), started(host, f"web-{ALLOWED}")
    host.check_output(f"docker tag box {private} && docker tag box {plain}")
    assert "certificate" in host.run(f"docker push {private} 2>&1").stdout
    assert "HTTP response to HTTPS" in host.run(f"docker push {plain} 2>&1").stdout

    trusted = [
        {"address": f"{name}:5000", "ca": "/etc/ssl/test/ca.pem"},
        {"address": f"{name}:5001", "insecure": True},
    ]
    done = play(limit=name, docker_registries=trusted)
    assert done.succeeded, done.said
    for image in (private, plain):
        host.check_output(f"docker push {image} && docker rmi {image} && docker pull {image}")

    done = play(limit=name, docker_registries=[])
    assert done.succeeded, done.said
    assert "certificate" in host.run(f"docker pull {private} 2>&1").stdout
    assert "HTTP response to HTTPS" in host.run(f"docker pull {plain} 2>&1").stdout
    assert (dockerd(host), started(host, f"web-{ALLOWED}")) == before


def test_ports_are_filtered_after_a_reboot(host, reboot, eventually):
    name = host.backend.host
    reboot()
    assert eventually(lambda: reach(HOSTS[name], name, ALLOWED) == "answered")
    assert reach(HOSTS[name], name, UNLISTED) == "refused"
