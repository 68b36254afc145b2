"""What the role postgresql computes."""

import base64
import hmac
import runpy
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[3] / "ansible" / "plugins"
filters = runpy.run_path(str(PLUGINS / "filter" / "postgresql.py"))
access = runpy.run_path(str(PLUGINS / "modules" / "postgresql_access.py"))
cluster = runpy.run_path(str(PLUGINS / "modules" / "postgresql_cluster.py"))

tuning, settings, hba_line = filters["tuning"], filters["settings"], filters["hba_line"]
verifier, fits = access["verifier"], access["fits"]
MIB_OF_UNIT = {"kB": 1 / 1024, "MB": 1}


def mib(value: str) -> float:
    return int(value[:-2]) * MIB_OF_UNIT[value[-2:]]


# Tuning


@pytest.mark.parametrize("memory", [256, 1024, 4096, 65536, 524288])
@pytest.mark.parametrize("connections", [20, 100, 500])
def test_all_connections_at_work_fit_into_the_memory(memory: int, connections: int) -> None:
    tuned = tuning(memory, 8, connections)
    sorting = 2 * connections * mib(tuned["work_mem"])
    assert mib(tuned["shared_buffers"]) + sorting <= memory * 0.75 or tuned["work_mem"] == "1024kB"


def test_a_server_of_four_gibibytes() -> None:
    assert tuning(4096, 4, 100) == {
        "shared_buffers": "1024MB",
        "effective_cache_size": "3072MB",
        "work_mem": "5242kB",
        "maintenance_work_mem": "256MB",
        "max_worker_processes": 8,
        "max_parallel_workers": 4,
        "max_parallel_workers_per_gather": 2,
        "max_parallel_maintenance_workers": 2,
    }


def test_one_core_has_one_worker_and_many_have_no_more_than_four_for_a_query() -> None:
    assert tuning(1024, 1, 100)["max_parallel_workers_per_gather"] == 1
    assert tuning(65536, 64, 100)["max_parallel_workers_per_gather"] == 4
    assert tuning(65536, 64, 100)["max_worker_processes"] == 64


def test_much_memory_is_not_all_cache() -> None:
    assert tuning(524288, 8, 100)["shared_buffers"] == "16384MB"
    assert tuning(524288, 8, 100)["maintenance_work_mem"] == "2048MB"


# Settings


def test_settings_are_parted_by_what_needs_a_restart() -> None:
    values = {"shared_buffers": "1GB", "work_mem": "8MB", "pg_stat_statements.max": 100}
    assert settings(values, restart=True) == "shared_buffers = '1GB'\npg_stat_statements.max = '100'"
    assert settings(values, restart=False) == "work_mem = '8MB'"


def test_a_setting_is_quoted_and_null_is_left_out() -> None:
    values = {"archive_command": r"echo 'it\n'", "jit": False, "ssl": True, "work_mem": None}
    assert settings(values, restart=False) == "archive_command = 'echo ''it\\\\n'''\njit = 'off'\nssl = 'on'"


def test_a_setting_cannot_bring_another_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        settings({"work_mem": "1MB\nfsync = off"}, restart=False)


# pg_hba.conf


def test_an_entry_is_a_line() -> None:
    entry = {
        "type": "hostssl",
        "database": "shop",
        "user": ["shop", "Odd name"],
        "address": "10.0.0.0/24",
        "method": "scram-sha-256",
    }
    assert hba_line(entry) == 'hostssl shop shop,"Odd name" 10.0.0.0/24 scram-sha-256'
    assert (
        hba_line({"type": "local", "database": "all", "user": "all", "method": "peer"})
        == "local all all peer"
    )


def test_a_databases_users_come_in_from_the_host_itself_over_tls() -> None:
    database = {"name": "shop", "owner": "owner", "writers": ["app"], "monitors": ["exporter", "app"]}
    assert filters["hba_of_database"](database) == "hostssl shop owner,app,exporter samehost scram-sha-256"


@pytest.mark.parametrize(
    ("address", "method", "allowed"),
    [
        ("127.0.0.1/32", "scram-sha-256", True),
        ("::1/128", "scram-sha-256", True),
        ("10.0.0.0/24", "scram-sha-256", False),
        ("0.0.0.0/0", "scram-sha-256", False),
        ("samenet", "scram-sha-256", False),
        ("10.0.0.0/24", "reject", True),
    ],
)
def test_without_tls_only_the_host_itself_comes_in(address: str, method: str, *, allowed: bool) -> None:
    entry = {"type": "host", "database": "all", "user": "all", "address": address, "method": method}
    (condition,) = filters["hba_conditions"]([entry])
    assert condition["that"] is allowed
    assert "postgresql_hba" in condition["problem"]


# Roles


def test_a_weak_password_is_told_with_its_role_and_variable() -> None:
    roles = [{"name": "app", "password": "x"}, {"name": "owner", "password": "pass-wörd"}]
    told = [each["problem"] for each in filters["role_conditions"](roles, ["owner"]) if not each["that"]]
    assert len(told) == 2
    assert told[0].startswith("postgresql_roles: the password of app is too weak")
    assert told[1].startswith("postgresql_roles: the password of owner is not ASCII")


@pytest.mark.parametrize("name", ["postgres", "pg_monitor", "Odd", "a b", ""])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    conditions = filters["role_conditions"]([{"name": name, "password": "x"}], [name])
    assert [each["problem"] for each in conditions if not each["that"]] != []


def test_a_verifier_signs_the_example_of_the_standard() -> None:
    """RFC 7677, section 3: the password `pencil`, and what the server of the example answers."""
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    made = verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    server_key = base64.b64decode(made.rsplit(":", 1)[1])
    signature = hmac.digest(server_key, message.encode(), "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert fits("pencil", made)
    assert not fits("pencil ", made)


@pytest.mark.parametrize(
    "kept", [None, "", "md5d41d8cd98f00b204e9800998ecf8427e", "SCRAM-SHA-256$4096:broken"]
)
def test_what_is_no_verifier_fits_no_password(kept: str | None) -> None:
    assert not fits("pencil", kept)


def role(**changes: object) -> dict:
    return {
        "name": "app",
        "password": "pencil",
        "connection_limit": -1,
        "member_of": [],
        "settings": {},
    } | changes


def present(**changes: object) -> dict:
    kept = verifier("pencil", b"0123456789abcdef")
    return {
        "name": "app",
        "verifier": kept,
        "connection_limit": -1,
        "plain": True,
        "member_of": [],
        "settings": None,
    } | changes


def test_a_role_in_order_is_left_alone() -> None:
    assert access["role_statements"](role(), present()) == []


def test_a_new_role_is_created_without_its_password_in_clear() -> None:
    said = access["role_statements"](
        role(connection_limit=5, member_of=["pg_monitor"], settings={"statement_timeout": "5s"}), None
    )
    assert said[0].startswith('CREATE ROLE "app" LOGIN NOSUPERUSER')
    assert said[1] == 'ALTER ROLE "app" CONNECTION LIMIT 5'
    assert "PASSWORD 'SCRAM-SHA-256$" in said[2]
    assert said[3:] == ['GRANT "pg_monitor" TO "app"', """ALTER ROLE "app" SET "statement_timeout" = '5s'"""]
    assert "pencil" not in str(said)


def test_a_role_loses_what_is_not_named() -> None:
    said = access["role_statements"](
        role(), present(plain=False, connection_limit=3, member_of=["pg_monitor"], settings=["work_mem=1GB"])
    )
    assert said == [
        f'ALTER ROLE "app" {access["ATTRIBUTES"]}',
        'ALTER ROLE "app" CONNECTION LIMIT -1',
        'REVOKE "pg_monitor" FROM "app"',
        'ALTER ROLE "app" RESET "work_mem"',
    ]


# Grants

DATABASE = {"name": "shop", "owner": "owner", "writers": ["app"], "readers": [], "monitors": []}
TO_COME = 'ALTER DEFAULT PRIVILEGES FOR ROLE "owner" IN SCHEMA public'


def grant(kind: str, object_: str, role_: str, *privileges: str) -> list[dict]:
    return [{"kind": kind, "object": object_, "role": role_, "privilege": each} for each in privileges]


FRESH = grant("DATABASE", "shop", "", "CONNECT", "TEMPORARY") + grant("SCHEMA", "public", "", "USAGE")


def test_a_writer_gets_rows_of_tables_that_are_there_and_to_come() -> None:
    said = access["grant_statements"](
        DATABASE, ["owner", "app"], FRESH + grant("TABLES", "orders", "owner", "SELECT")
    )
    assert said == [
        'REVOKE CONNECT, TEMPORARY ON DATABASE "shop" FROM PUBLIC',
        'GRANT CONNECT ON DATABASE "shop" TO "app"',
        'GRANT USAGE ON SCHEMA public TO "app"',
        'GRANT DELETE, INSERT, SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO "app"',
        f'{TO_COME} GRANT DELETE, INSERT, SELECT, UPDATE ON TABLES TO "app"',
        f'{TO_COME} GRANT SELECT, USAGE ON SEQUENCES TO "app"',
    ]


def test_a_role_that_is_no_writer_any_more_loses_it() -> None:
    grants = grant("DATABASE", "shop", "app", "CONNECT") + grant("SCHEMA", "public", "", "USAGE")
    grants += grant("TABLES", "orders", "app", "SELECT", "DELETE") + grant(
        "DEFAULT TABLES", "", "app", "SELECT"
    )
    assert access["grant_statements"](DATABASE | {"writers": []}, ["owner", "app"], grants) == [
        'REVOKE CONNECT ON DATABASE "shop" FROM "app"',
        'REVOKE DELETE, SELECT ON ALL TABLES IN SCHEMA public FROM "app"',
        f'{TO_COME} REVOKE SELECT ON TABLES FROM "app"',
    ]


def test_nobody_may_create_in_the_schema_public_of_an_old_cluster() -> None:
    grants = grant("SCHEMA", "public", "", "USAGE", "CREATE")
    assert "REVOKE CREATE ON SCHEMA public FROM PUBLIC" in access["grant_statements"](DATABASE, [], grants)


def test_a_role_that_is_not_named_keeps_what_it_has() -> None:
    grants = grant("TABLES", "orders", "stranger", "SELECT") + grant(
        "DATABASE", "shop", "stranger", "CONNECT"
    )
    said = access["grant_statements"](DATABASE, ["owner", "app"], grants)
    assert "stranger" not in str(said)


# Clusters


def test_a_cluster_of_another_version_is_seen(tmp_path: Path) -> None:
    for version in ("15", "17"):
        (tmp_path / version / "main").mkdir(parents=True)
        (tmp_path / version / "main" / "postgresql.conf").touch()
    assert cluster["other_versions"]("17", tmp_path) == ["15"]


def test_checksums_are_read_from_the_control_data() -> None:
    assert cluster["has_checksums"](
        "pg_control version number: 1300\nData page checksum version:           1\n"
    )
    assert not cluster["has_checksums"]("Data page checksum version:           0\n")
    assert not cluster["has_checksums"]("")


def test_every_server_of_the_app_is_let_in_by_its_family_of_addresses() -> None:
    login = {"type": "hostssl", "database": "aisha", "user": ["aisha"], "method": "scram-sha-256"}
    sources = {"ip": ["10.0.0.2", "10.0.0.4/31"], "ip6": ["fd00::2"]}
    entries = filters["hba_from"](login, sources, ["172.24.0.0/13"])
    assert [hba_line(entry).split()[3] for entry in entries] == [
        "10.0.0.2/32",
        "10.0.0.4/31",
        "fd00::2/128",
        "172.24.0.0/13",
    ]
