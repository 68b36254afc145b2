"""The services of the whole site, as the app's hosts reach them and nobody else does."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from hosts import address_of, stranger_reaches
from rehearsal import begin

ROOT = Path(__file__).parents[3]
VAULT = ROOT / "inventories" / "rehearsal" / "group_vars" / "all" / "vault.yml"
CA = "/etc/ssl/certs/ca-certificates.crt"

testinfra_hosts = ["ansible://servers"]
SERVICES = {"postgresql": 5432, "redis": 6379, "minio": 9000, "registry": 5000}
pytestmark = pytest.mark.timeout(900)  # runs of Ansible over three hosts take minutes on a busy machine


@pytest.fixture(scope="session")
def secrets():
    """The secrets of the rehearsal's vault."""
    command = ("ansible-vault", "view", "--vault-password-file", ROOT / "ansible" / "vault-password", VAULT)
    return yaml.safe_load(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def play(*arguments):
    """Run the site and return what it printed, and how many tasks changed something on each host."""
    running = begin("site.yml", *arguments)
    said, _ = running.communicate()
    assert running.returncode == 0, said[-4000:]
    return said, {
        name: int(changed)
        for name, changed in re.findall(r"^(\S+) +: ok=.*changed=(\d+)", said, re.MULTILINE)
    }


@pytest.fixture(scope="session")
def address():
    """The address of the host with the services."""
    return address_of("services")


def is_app(host):
    return host.backend.host.startswith("app-")


@pytest.mark.parametrize("service", SERVICES)
def test_the_apps_hosts_reach_each_service_over_tls_that_they_trust(host, address, service):
    if not is_app(host):
        pytest.skip("the host of the services")
    starttls = "-starttls postgres" if service == "postgresql" else ""
    said = host.run(
        f"openssl s_client {starttls} -connect {address}:{SERVICES[service]} -CAfile {CA} -verify_return_error </dev/null 2>&1"
    )
    assert "Verify return code: 0 (ok)" in said.stdout


def test_the_proxy_answers_everyone(host, address):
    said = host.run(f"curl -sS --resolve aisha.test:443:{address} https://aisha.test/")
    assert said.stdout == "Aisha\n", said.stderr


def test_a_stranger_reaches_the_proxy_and_nothing_else(address):
    assert stranger_reaches(address, 443)
    assert [name for name, port in SERVICES.items() if stranger_reaches(address, port)] == []


def test_the_app_logs_in_to_the_registry_from_its_docker(host, address, secrets):
    if not is_app(host):
        pytest.skip("the host of the services")
    password = secrets["vault_registry_app_password"]
    said = host.run(f"echo {password} | docker login --username app --password-stdin {address}:5000")
    assert "Login Succeeded" in said.stdout, said.stderr


def test_no_unit_has_failed(host):
    assert host.run("systemctl --failed --no-legend --plain").stdout == ""


def test_no_secret_is_in_the_journal(host, secrets):
    journal = host.run("journalctl --no-pager").stdout
    assert [name for name, secret in secrets.items() if secret in journal] == []


def test_what_would_change_is_shown_without_a_secret(secrets):
    said, changed = play(
        "--check", "--diff", "-vvv", "-e", "redis_max_memory_mib=100", "-e", "nginx_body_limit=2m"
    )
    assert "maxmemory 100mb" in said
    assert changed["services"] > 0
    assert [name for name, secret in secrets.items() if secret in said] == []


def test_the_deploy_user_runs_it_over_ssh(tmp_path):
    names = ("services", "app-1", "app-2")
    variables = {
        "ansible_connection": "ssh",
        "ansible_user": "deploy",
        "ansible_become": True,
        "ansible_ssh_private_key_file": str(ROOT / ".cache" / "hosts" / "deploy"),
        "ansible_host_key_checking": False,
    }
    hosts = {name: variables | {"ansible_host": address_of(name)} for name in names}
    (tmp_path / "ssh.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    said, changed = play("-i", str(tmp_path / "ssh.json"), "--tags", "base,redis,app")
    assert changed == dict.fromkeys(names, 0)
    assert "nothing: every host runs its release" in said


def test_a_renewed_certificate_is_shown_at_once(eventually):
    def shown():
        ask = "openssl s_client -connect 127.0.0.1:443 -servername aisha.test </dev/null 2>&1 | openssl x509 -noout -serial"
        return subprocess.check_output(("docker", "exec", "services", "sh", "-c", ask), text=True)

    before = shown()
    renew = ("-e", '{"certificates_renew_before_days": 100, "certificates_days": 101}')
    play("--tags", "certificates", "--limit", "services", *renew)
    assert eventually(lambda: shown() != before)


def test_one_host_and_one_service_can_be_brought_up_alone():
    _, changed = play("--limit", "app-1")
    assert changed == {"app-1": 0}
    said, changed = play("--tags", "redis")
    assert set(changed.values()) == {0}
    assert "TASK [redis : Write the configuration]" in said
    assert "TASK [postgresql : Write" not in said


def test_a_run_that_was_killed_is_made_good_by_the_next(secrets):
    def most_memory():
        ask = f"AUTH admin {secrets['vault_redis_admin_password']}\nCONFIG GET maxmemory\n"
        client = ("redis-cli", "-p", "6379", "--tls", "--cacert", "/etc/aisha/tls/redis/ca.pem")
        command = ("docker", "exec", "-i", "services", *client)
        return int(
            subprocess.run(command, input=ask, capture_output=True, text=True, check=True).stdout.split()[-1]
        )

    wanted = ("--tags", "redis", "-e", "redis_max_memory_mib=100")
    killed, written = begin("site.yml", *wanted), False
    for line in killed.stdout:
        written = written or line.startswith("TASK [redis : Write the configuration]")
        if written and line.startswith("changed: [services]"):
            os.killpg(killed.pid, signal.SIGKILL)
            break
    killed.wait()
    assert written
    assert most_memory() != 100 * 2**20

    play(*wanted)
    assert most_memory() == 100 * 2**20
    play("--tags", "redis")
