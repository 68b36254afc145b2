"""A server as its operator, its neighbours and a stranger find it."""

import json
import os

import pytest
import testinfra
from hosts import NETWORK, address_of, docker
from plays import play

HOSTS = ("base-bookworm", "base-trixie")
OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=5 -o LogLevel=ERROR"
KEY = f"-i /root/key -o BatchMode=yes {OPTIONS}"
PASSWORD = f"-o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no {OPTIONS}"


@pytest.fixture
def by_ssh(tmp_path):
    """An inventory by which Ansible comes over SSH, as the deploy user with the key."""
    addresses = {name: address_of(name) for name in HOSTS}
    operator = docker("network", "inspect", "--format={{(index .IPAM.Config 0).Gateway}}", NETWORK)
    variables = {
        "ansible_user": "deploy",
        "ansible_become": True,
        "ansible_ssh_private_key_file": f"{os.environ['MOLECULE_PROJECT_DIRECTORY']}/.cache/hosts/base-key",
        "ansible_ssh_common_args": f"{OPTIONS} -o ControlPath=/tmp/aisha-%C",
        "hide_secrets": False,
    }
    hosts = {name: {"ansible_host": address} for name, address in addresses.items()}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}))
    return tmp_path / "hosts.json", operator


@pytest.fixture
def neighbour(host):
    """The other host."""
    (name,) = set(HOSTS) - {host.backend.host}
    return testinfra.get_host(f"docker://{name}")


@pytest.fixture
def address(host):
    return host.backend.host


@pytest.fixture
def listens(host):
    """A program that listens on both ports, of which the firewall opens one."""
    for port in (8001, 8002):
        host.run(f"systemd-run --unit=listens-{port} python3 -m http.server --directory /var/empty {port}")
    yield
    host.run("systemctl stop listens-8001 listens-8002")


def reached(host, address, port):
    """Tell whether one host connects to a port of the other."""
    return host.run(f"curl --silent --output /dev/null --max-time 2 http://{address}:{port}/").rc == 0


def test_an_interrupted_installation_was_finished(host):
    assert host.check_output("dpkg --audit") == ""
    assert host.run("echo 6*7 | bc").stdout.strip() == "42"


def test_the_firewall_lets_in_who_is_allowed_and_nobody_else(host, neighbour, address, listens, eventually):
    assert eventually(lambda: reached(host, "localhost", 8001) and reached(host, "localhost", 8002))
    assert reached(neighbour, address, 8001)
    assert not reached(neighbour, address, 8002)


def test_the_firewall_leaves_other_tables_alone(host):
    assert "DOCKER_OUTPUT" in host.check_output("nft list tables; nft list ruleset")


def test_who_may_use_sudo_is_only_root_s_to_read(host):
    assert host.file("/etc/sudoers.d").mode == 0o750


def test_the_deploy_user_logs_in_with_the_key_and_is_root_with_sudo(neighbour, address):
    assert neighbour.run(f"ssh {KEY} deploy@{address} sudo -n id -u").stdout.strip() == "0"


def test_what_sudo_makes_can_be_read_by_others(neighbour, address):
    assert neighbour.run(f"ssh {KEY} deploy@{address} sudo -n sh -c umask").stdout.strip() == "0022"


def test_root_is_refused_with_key_and_password(host, neighbour, address):
    host.run_test("echo root:let-me-in | chpasswd")
    assert "Permission denied" in neighbour.run(f"ssh {KEY} root@{address} id").stderr
    assert (
        "Permission denied" in neighbour.run(f"sshpass -p let-me-in ssh {PASSWORD} root@{address} id").stderr
    )


def test_a_right_password_is_refused(neighbour, address):
    answer = neighbour.run(f"sshpass -p let-me-in ssh {PASSWORD} visitor@{address} id")
    assert answer.rc != 0
    assert "Permission denied (publickey)" in answer.stderr


def test_the_banner_is_shown(neighbour, address):
    options = KEY.replace("LogLevel=ERROR", "LogLevel=INFO")
    assert "For those who work here only." in neighbour.run(f"ssh {options} deploy@{address} true").stderr


@pytest.mark.parametrize(
    "weak", ["-o KexAlgorithms=diffie-hellman-group14-sha256", "-c aes128-cbc", "-m hmac-sha1 -c aes128-ctr"]
)
def test_weak_cryptography_is_refused(neighbour, address, weak):
    answer = neighbour.run(f"ssh {KEY.replace('ERROR', 'INFO')} {weak} deploy@{address} id")
    assert "no matching" in answer.stderr


def test_settings_of_the_kernel_are_in_effect(host):
    for name, value in {
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv4.conf.all.rp_filter": "1",
    }.items():
        assert host.check_output(f"cat /proc/sys/{name.replace('.', '/')}") == value


def test_the_journal_is_on_disk_and_limited(host):
    machine = host.check_output("cat /etc/machine-id")
    assert host.file(f"/var/log/journal/{machine}/system.journal").exists
    assert "SystemMaxUse=64M" in host.check_output("systemd-analyze cat-config systemd/journald.conf")


def test_security_updates_come_by_themselves_and_others_do_not(host):
    said = host.run("unattended-upgrade --dry-run --debug 2>&1")
    assert said.rc == 0, said.stdout
    (origins,) = (line for line in said.stdout.splitlines() if line.startswith("Allowed origins are:"))
    release = host.system_info.codename
    assert origins == f"Allowed origins are: origin=Debian,codename={release}-security,label=Debian-Security"
    assert host.check_output("apt-config dump APT::Periodic::Unattended-Upgrade").endswith('"1";')
    assert host.service("apt-daily-upgrade.timer").is_enabled


def test_an_extra_authority_is_trusted(host):
    assert host.run("openssl verify -CApath /etc/ssl/certs /etc/ssl/test/certificate.pem").rc == 0


def test_the_time_zone_and_clock_are_set(host):
    assert host.check_output("date +%Z") == "UTC"
    assert host.service("chrony").is_enabled


def test_no_core_is_dumped(host):
    assert host.check_output("runuser -l deploy -c 'ulimit -H -c'") == "0"


WRONG = {
    "base_deploy_user": "root",
    "base_deploy_keys": ["my key"],
    "base_ssh_allow": [],
    "base_ssh_port": 0,
    "base_firewall_allow": [{"ports": [5432], "from": ["databse"]}],
    "base_umask": "rwx",
    "base_extra_ca_certificates": [{"name": "../x", "content": "none"}],
    "base_min_free_mib": 10**9,
}


def test_wrong_variables_are_refused_by_name_all_at_once():
    done = play(**WRONG)
    assert not done.succeeded
    for name in WRONG:
        assert name in done.said
    assert "'databse' is no address, no network, and no group or host of the inventory" in done.said
    assert set(done.changes) == {0}


def test_without_a_key_there_is_no_hardening():
    done = play(base_deploy_user="nobody-yet", base_deploy_keys=[])
    assert not done.succeeded
    assert "base_deploy_keys is empty and nobody-yet has no authorized_keys" in done.said
    assert set(done.changes) == {0}


def test_an_operator_over_ssh_is_not_locked_out(by_ssh):
    inventory, operator = by_ssh
    done = play(inventory=inventory, base_ssh_allow=["203.0.113.7"])
    assert not done.succeeded
    assert f"base_ssh_allow does not contain {operator}" in done.said
    assert set(done.changes) == {0}


def test_the_ssh_port_changes_under_the_operator_and_back(by_ssh):
    inventory, _ = by_ssh
    for now, wanted in ((22, 2222), (2222, 22)):
        done = play(inventory=inventory, ansible_port=now, base_ssh_port=wanted)
        assert done.succeeded, done.said
        hosts = [testinfra.get_host(f"docker://{name}") for name in HOSTS]
        assert all(host.socket(f"tcp://0.0.0.0:{wanted}").is_listening for host in hosts)


def test_the_first_run_comes_as_root_and_goes_on_as_the_deploy_user(by_ssh):
    inventory, _ = by_ssh
    done = play(base_ssh_root_login=True)
    assert done.succeeded, done.said
    for name in HOSTS:
        host = testinfra.get_host(f"docker://{name}")
        host.run_test("install -D -m 600 /home/deploy/.ssh/authorized_keys /root/.ssh/authorized_keys")
    hosts = json.loads(inventory.read_text())
    # No earlier connection is kept, as when other servers take long.
    hosts["all"]["vars"] |= {"ansible_user": "root", "ansible_ssh_args": "-o ControlMaster=no"}
    inventory.write_text(json.dumps(hosts))
    done = play(inventory=inventory)
    assert done.succeeded, done.said
    done = play(inventory=inventory)
    assert done.said.count("unreachable=1") == len(HOSTS)


def state(host):
    return host.check_output(
        "cat /etc/ssh/sshd_config.d/00-aisha.conf; nft list table inet aisha; systemctl show ssh -p MainPID"
    )


def test_a_wrong_setting_does_not_reach_what_runs():
    hosts = [testinfra.get_host(f"docker://{name}") for name in HOSTS]
    before = [state(host) for host in hosts]
    done = play(
        base_ssh_extra_settings={"MaxAuthTries": "nonsense"},
        base_firewall_extra_rules=["tcp nonsense accept"],
    )
    assert not done.succeeded
    assert "/etc/ssh/sshd_config.d/00-aisha.conf stays as it was" in done.said
    assert "/etc/nftables.d/aisha.nft stays as it was" in done.said
    assert [state(host) for host in hosts] == before


def test_the_firewall_that_last_worked_takes_the_place_of_a_broken_one(
    host, neighbour, address, reboot, eventually, listens
):
    host.run_test("echo nonsense >>/etc/nftables.d/aisha.nft")
    try:
        reboot()
        host.run("systemd-run --unit=listens-8002 python3 -m http.server --directory /var/empty 8002")
        assert eventually(lambda: reached(host, "localhost", 8002))
        assert not reached(neighbour, address, 8002)
        assert eventually(
            lambda: neighbour.run(f"ssh {KEY} deploy@{address} id -un").stdout.strip() == "deploy"
        )
    finally:
        host.run_test("sed -i '$d' /etc/nftables.d/aisha.nft && systemctl restart aisha-firewall")


def test_all_this_holds_after_a_reboot(host, neighbour, address, reboot, eventually, request):
    reboot()
    request.getfixturevalue("listens")
    assert host.service("aisha-firewall").is_running
    test_the_firewall_lets_in_who_is_allowed_and_nobody_else(host, neighbour, address, None, eventually)
    assert eventually(lambda: neighbour.run(f"ssh {KEY} deploy@{address} id -un").stdout.strip() == "deploy")
    test_a_right_password_is_refused(neighbour, address)
    test_settings_of_the_kernel_are_in_effect(host)
