"""Redis, and Valkey, as their users find them."""

import pytest

PASSWORDS = {
    "app": "an-app-password-9d1",
    "exporter": "exporter-password-7a2",
    "admin": "my-admin-password-5c3",
}


def flavour(host):
    """Return `redis` or `valkey`, by which everything is named."""
    return host.ansible.get_variables().get("redis_flavour", "redis")


def cli(host, user, command):
    """Return what a user's command prints."""
    login = f"--user {user} -a {PASSWORDS[user]} --no-auth-warning" if user else ""
    return host.run(f"{flavour(host)}-cli {login} {command} 2>&1").stdout.strip()


def test_the_app_writes_and_reads(host):
    assert cli(host, "app", "SET greeting hello") == "OK"
    assert cli(host, "app", "GET greeting") == "hello"


@pytest.mark.parametrize(
    "command", ["FLUSHALL", "FLUSHDB", "CONFIG GET maxmemory", "KEYS x", "SHUTDOWN", "ACL LIST"]
)
def test_the_app_is_denied(host, command):
    assert cli(host, "app", command).startswith("NOPERM")


def test_tls_is_spoken_to_who_trusts_the_authority(host):
    tls = "-h $(hostname) -p 6380 --tls --cacert /etc/ssl/test/ca.pem"
    assert cli(host, "app", f"{tls} PING") == "PONG"
    assert "certificate" in cli(
        host, "app", f"{tls.replace('/etc/ssl/test/ca.pem', '/etc/ssl/certs/ca-certificates.crt')} PING"
    )


def test_nobody_does_anything_without_a_password(host):
    assert cli(host, None, "GET greeting").startswith("NOAUTH")
    assert cli(host, None, "PING").startswith("NOAUTH")


def test_a_wrong_password_is_refused(host):
    assert "WRONGPASS" in host.run(f"{flavour(host)}-cli --user app -a wrong GET greeting 2>&1").stdout


def test_the_exporter_reads_figures_but_no_data(host):
    assert "used_memory:" in cli(host, "exporter", "INFO memory")
    assert cli(host, "exporter", "GET greeting").startswith("NOPERM")


def test_the_admin_sees_that_nothing_is_evicted(host):
    assert cli(host, "admin", "CONFIG GET maxmemory-policy").split() == ["maxmemory-policy", "noeviction"]
    assert cli(host, "admin", "CONFIG GET appendonly").split() == ["appendonly", "yes"]


def test_a_full_memory_refuses_writes_and_keeps_what_is_there(host):
    cli(host, "app", "SET kept precious")
    before = cli(host, "admin", "CONFIG GET maxmemory").split()[1]
    cli(host, "admin", "CONFIG SET maxmemory 1")
    try:
        assert cli(host, "app", "SET another value").startswith("OOM")
        assert cli(host, "app", "GET kept") == "precious"
    finally:
        cli(host, "admin", f"CONFIG SET maxmemory {before}")


def test_the_configuration_is_not_for_everyone_to_read(host):
    folder = f"/etc/{flavour(host)}"
    for name in (f"{flavour(host)}.conf", "users.acl"):
        assert host.file(f"{folder}/{name}").mode == 0o640
    assert PASSWORDS["app"] not in host.file(f"{folder}/users.acl").content_string


def test_data_survive_a_kill(host, eventually):
    cli(host, "app", "SET survivor yes")
    host.run_test("sleep 1.1; pkill -KILL %s-server", flavour(host))
    assert eventually(lambda: cli(host, "app", "GET survivor") == "yes")


def test_data_survive_a_reboot(host, reboot, eventually):
    cli(host, "app", "SET traveller yes")
    reboot()
    assert eventually(lambda: cli(host, "app", "GET traveller") == "yes")
