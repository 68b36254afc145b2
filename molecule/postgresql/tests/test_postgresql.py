"""PostgreSQL as its users find it; each host is the server, and the client of the other."""

import os
import re
import subprocess
from pathlib import Path

import psycopg
import pytest
from plays import play

pytestmark = pytest.mark.timeout(900)  # a run over both hosts takes minutes on a busy machine

AUTHORITY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / ".cache" / "hosts" / "postgresql-ca.pem"
PASSWORDS = {
    "shop_owner": "owner's pass-word 4f1",
    "shop": "an-app-password-9d1",
    "analyst": "analyst-figures-3b8",
    "exporter": "exporter-password-7a2",
}


@pytest.fixture
def neighbour(host):
    """Return the name of the other host."""
    name = host.backend.host
    return name.replace("bookworm", "trixie") if "bookworm" in name else name.replace("trixie", "bookworm")


def ask(host, user, statement, *, server="localhost", database="shop", tls="verify-full", password=None):
    """Run a statement as a user and return what psql prints, errors too."""
    conninfo = f"host={server} dbname={database} user={user} sslmode={tls} sslrootcert=/etc/ssl/test/ca.pem connect_timeout=10"
    command = "PGPASSWORD=%s psql --no-psqlrc -v VERBOSITY=terse -Atqc %s %s 2>&1"
    return host.run(command, password or PASSWORDS[user], statement, conninfo).stdout.strip()


def administrate(host, statement, database="postgres"):
    """Run a statement as the system's user postgres, through the socket."""
    return host.check_output("runuser -u postgres -- psql --no-psqlrc -Atqc %s %s", statement, database)


# Logins


def test_the_app_logs_in_from_the_other_host_over_tls(host, neighbour):
    assert (
        ask(host, "shop", "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()", server=neighbour)
        == "TLSv1.3"
    )


def test_nobody_comes_in_without_tls(host, neighbour):
    assert "no pg_hba.conf entry" in ask(host, "shop", "SELECT 1", server=neighbour, tls="disable")
    assert "no pg_hba.conf entry" in ask(host, "shop", "SELECT 1", tls="disable")


def test_a_host_that_is_not_named_does_not_come_in(host):
    address = host.check_output("hostname --ip-address").split()[0]
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba.conf entry for host .* SSL encryption"):
        psycopg.connect(
            host=address,
            dbname="shop",
            user="shop",
            password=PASSWORDS["shop"],
            sslmode="verify-ca",
            sslrootcert=str(AUTHORITY),
        )


def test_a_wrong_password_is_refused(host, neighbour):
    assert "password authentication failed" in ask(
        host, "shop", "SELECT 1", server=neighbour, password="wrong"
    )


def test_a_user_stays_in_its_database_and_the_administrator_on_the_host(host, neighbour):
    assert "no pg_hba.conf entry" in ask(host, "shop", "SELECT 1", server=neighbour, database="postgres")
    assert "no pg_hba.conf entry" in ask(host, "exporter", "SELECT 1", server=neighbour)
    assert "no pg_hba.conf entry" in ask(host, "postgres", "SELECT 1", server=neighbour, password="x")
    assert "failed" in host.run("psql -U postgres -c 'SELECT 1' postgres 2>&1").stdout


def test_the_rules_are_only_the_ones_that_were_written(host):
    rules = administrate(
        host, "SELECT type, database, user_name, auth_method, error FROM pg_hba_file_rules"
    ).splitlines()
    assert len(rules) == 4
    assert rules[0] == "local|{all}|{postgres}|peer|"
    assert {rule.split("|")[3] for rule in rules} == {"peer", "scram-sha-256"}


# Privileges


def test_the_app_uses_what_a_migration_creates_and_creates_nothing(host, neighbour):
    ask(host, "shop_owner", "DROP TABLE IF EXISTS orders", server=neighbour)
    created = ask(
        host, "shop_owner", "CREATE TABLE orders (id bigserial PRIMARY KEY, item text)", server=neighbour
    )
    assert created == ""
    assert ask(host, "shop", "INSERT INTO orders (item) VALUES ('tea') RETURNING id", server=neighbour) == "1"
    assert ask(host, "shop", "UPDATE orders SET item = 'coffee' RETURNING item", server=neighbour) == "coffee"
    assert ask(host, "analyst", "SELECT item FROM orders", server=neighbour) == "coffee"
    assert ask(host, "shop", "DELETE FROM orders RETURNING id", server=neighbour) == "1"


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("shop", "CREATE TABLE mine (id int)"),
        ("shop", "CREATE TEMP TABLE mine (id int)"),
        ("shop", "CREATE SCHEMA mine"),
        ("shop", "CREATE DATABASE mine"),
        ("shop", "CREATE ROLE mine"),
        ("shop", "SET ROLE shop_owner"),
        ("shop", "COPY (SELECT 1) TO PROGRAM 'true'"),
        ("shop", "SELECT pg_read_file('/etc/passwd')"),
        ("shop", "SELECT rolpassword FROM pg_authid"),
        ("shop_owner", "CREATE DATABASE mine"),
        ("shop_owner", "ALTER ROLE shop SUPERUSER"),
    ],
)
def test_is_denied(host, user, statement):
    assert re.search("permission denied|must be superuser|[Oo]nly roles with", ask(host, user, statement))


def test_the_app_neither_empties_nor_changes_a_table(host):
    ask(host, "shop_owner", "CREATE TABLE IF NOT EXISTS ledger (id int)")
    assert "permission denied" in ask(host, "shop", "TRUNCATE ledger")
    assert "must be owner" in ask(host, "shop", "DROP TABLE ledger")
    assert "must be owner" in ask(host, "shop", "ALTER TABLE ledger ADD COLUMN x int")
    assert "permission denied" in ask(host, "analyst", "INSERT INTO ledger VALUES (1)")


def test_the_exporter_sees_figures_and_no_rows(host):
    ask(host, "shop_owner", "CREATE TABLE IF NOT EXISTS ledger (id int)")
    figures = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query IS NOT NULL AND usename = 'postgres' OR backend_type = 'checkpointer'"
    assert ask(host, "exporter", figures, server="127.0.0.1", database="postgres", tls="disable") == "t"
    assert "permission denied" in ask(host, "exporter", "SELECT * FROM ledger")


def test_a_role_has_its_limits(host):
    assert ask(host, "shop", "SHOW statement_timeout") == "5s"
    assert ask(host, "shop", "SHOW idle_in_transaction_session_timeout") == "1min"
    assert administrate(host, "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'shop'") == "10"


# What it keeps


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("password_encryption", "scram-sha-256"),
        ("ssl", "on"),
        ("ssl_min_protocol_version", "TLSv1.2"),
        ("wal_level", "replica"),
        ("archive_mode", "on"),
        ("shared_buffers", "128MB"),
        ("server_encoding", "UTF8"),
    ],
)
def test_runs_with(host, setting, value):
    assert administrate(host, f"SHOW {setting}") == value


def test_it_is_known_which_settings_need_a_restart(host):
    names = set(administrate(host, "SELECT name FROM pg_settings WHERE context = 'postmaster'").split())
    folder = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "ansible" / "plugins" / "filter"
    known = {}
    exec(compile((folder / "postgresql.py").read_text(), "postgresql.py", "exec"), known)
    assert {name for name in names if "." not in name} - known["RESTART"] == set()
    assert administrate(host, "SELECT name FROM pg_settings WHERE pending_restart") == ""


def test_a_password_is_in_no_log(host):
    logs = host.check_output("cat /var/log/postgresql/*.log; journalctl --no-pager --output=cat")
    assert "SCRAM-SHA-256$" not in logs
    assert [user for user, password in PASSWORDS.items() if password in logs] == []
    kept = administrate(
        host, "SELECT DISTINCT left(rolpassword, 14) FROM pg_authid WHERE rolpassword IS NOT NULL"
    )
    assert kept == "SCRAM-SHA-256$"


def test_data_survive_a_kill(host, eventually):
    ask(host, "shop_owner", "CREATE TABLE IF NOT EXISTS kept (what text)")
    assert ask(host, "shop", "INSERT INTO kept VALUES ('precious') RETURNING what") == "precious"
    host.check_output("kill -KILL $(head -n 1 /var/lib/postgresql/*/main/postmaster.pid)")
    assert eventually(lambda: "precious" in ask(host, "shop", "SELECT what FROM kept"))


def test_data_survive_a_reboot(host, reboot, eventually):
    ask(host, "shop_owner", "CREATE TABLE IF NOT EXISTS kept (what text)")
    assert ask(host, "shop", "INSERT INTO kept VALUES ('traveller') RETURNING what") == "traveller"
    reboot()
    assert eventually(lambda: "traveller" in ask(host, "shop", "SELECT what FROM kept"))


# What a run changes


def started(host):
    return administrate(host, "SELECT pg_postmaster_start_time()")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (
            {"postgresql_settings": {"shared_buffers": "a lot"}},
            'invalid value for parameter "shared_buffers"',
        ),
        (
            {"postgresql_settings": {"work_memory": "8MB"}},
            'unrecognized configuration parameter "work_memory"',
        ),
        (
            {
                "postgresql_hba": [
                    {
                        "type": "hostssl",
                        "database": "shop",
                        "user": "shop",
                        "address": "10.0.0.0/99",
                        "method": "peer",
                    }
                ]
            },
            'invalid CIDR mask in address "10.0.0.0/99"',
        ),
    ],
)
def test_a_wrong_setting_fails_the_run_and_leaves_the_server_as_it_was(host, variables, told):
    configuration = "cat /etc/postgresql/*/main/conf.d/*.conf /etc/postgresql/*/main/pg_hba.conf"
    before = (started(host), host.check_output(configuration))
    done = play(limit=host.backend.host, **variables)
    assert not done.succeeded
    assert told in done.said
    assert (started(host), host.check_output(configuration)) == before
    assert host.run("ls -d /var/lib/postgresql/dry-start.*").stdout == ""


def test_weak_passwords_are_refused_with_the_name_of_the_variable(host):
    weak = [{"name": "shop", "password": "password12345678"}]
    done = play(limit=host.backend.host, postgresql_roles=weak)
    assert not done.succeeded
    assert "postgresql_roles: the password of shop is too weak" in done.said
    assert ask(host, "shop", "SELECT 1") == "1"


def test_a_setting_that_is_reloaded_needs_no_restart(host):
    before = started(host)
    done = play(limit=host.backend.host, postgresql_settings={"work_mem": "9MB"})
    assert done.succeeded, done.said
    assert started(host) == before
    assert administrate(host, "SHOW work_mem") == "9MB"


def test_a_setting_that_is_read_at_start_gets_a_restart(host):
    before = started(host)
    settings = {"work_mem": "9MB", "max_connections": "44"}
    done = play(limit=host.backend.host, postgresql_settings=settings)
    assert done.succeeded, done.said
    assert started(host) > before
    assert administrate(host, "SHOW max_connections") == "44"


def cluster(host, **arguments):
    """Return what the module that creates clusters says to a host."""
    words = " ".join(f"{name}={value}" for name, value in arguments.items())
    command = ["ansible", host.backend.host, "--inventory", os.environ["MOLECULE_INVENTORY_FILE"]]
    command += ["--module-name", "postgresql_cluster", "--args", words]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    ).stdout


def version(host):
    return administrate(host, "SHOW server_version").split(".")[0]


def test_a_cluster_is_not_left_behind_by_a_newer_version(host):
    assert f"pg_upgradecluster {version(host)} main" in cluster(host, version=99)


def test_a_cluster_without_checksums_is_refused_or_given_them(host):
    number = version(host)
    unit, data = f"postgresql@{number}-main", f"/var/lib/postgresql/{number}/main"
    host.check_output(f"systemctl stop {unit}")
    host.check_output(
        f"runuser -u postgres -- /usr/lib/postgresql/{number}/bin/pg_checksums --disable --no-sync -D {data}"
    )
    host.check_output(f"systemctl start {unit}")
    assert "postgresql_enable_checksums" in cluster(host, version=number)
    assert administrate(host, "SHOW data_checksums") == "off"
    assert "enable checksums" in cluster(host, version=number, enable_checksums="true")
    host.check_output(f"systemctl start {unit}")
    assert administrate(host, "SHOW data_checksums") == "on"
