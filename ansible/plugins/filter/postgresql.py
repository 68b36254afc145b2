"""What the role postgresql computes: its tuning, the text of its files, and what must be true of its variables."""

from __future__ import annotations

import ipaddress
import re

LARGEST_SHARED_BUFFERS_MIB = 16 * 1024
LARGEST_MAINTENANCE_MIB = 2 * 1024
WORKERS = 8
"""PostgreSQL's own default of max_worker_processes, and the least here."""

# The settings that PostgreSQL 15 and 17 read only at start: `SELECT name FROM pg_settings WHERE context = 'postmaster'`.
RESTART = frozenset(
    [
        "archive_mode",
        "autovacuum_freeze_max_age",
        "autovacuum_max_workers",
        "autovacuum_multixact_freeze_max_age",
        "bonjour",
        "bonjour_name",
        "cluster_name",
        "commit_timestamp_buffers",
        "config_file",
        "data_directory",
        "data_sync_retry",
        "debug_io_direct",
        "dynamic_shared_memory_type",
        "event_source",
        "external_pid_file",
        "hba_file",
        "hot_standby",
        "huge_page_size",
        "huge_pages",
        "ident_file",
        "ignore_invalid_pages",
        "jit_provider",
        "listen_addresses",
        "logging_collector",
        "max_connections",
        "max_files_per_process",
        "max_locks_per_transaction",
        "max_logical_replication_workers",
        "max_notify_queue_pages",
        "max_pred_locks_per_transaction",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_worker_processes",
        "min_dynamic_shared_memory",
        "multixact_member_buffers",
        "multixact_offset_buffers",
        "notify_buffers",
        "old_snapshot_threshold",
        "port",
        "recovery_target",
        "recovery_target_action",
        "recovery_target_inclusive",
        "recovery_target_lsn",
        "recovery_target_name",
        "recovery_target_time",
        "recovery_target_timeline",
        "recovery_target_xid",
        "reserved_connections",
        "serializable_buffers",
        "shared_buffers",
        "shared_memory_type",
        "shared_preload_libraries",
        "subtransaction_buffers",
        "superuser_reserved_connections",
        "trace_connection_negotiation",
        "track_activity_query_size",
        "track_commit_timestamp",
        "transaction_buffers",
        "unix_socket_directories",
        "unix_socket_group",
        "unix_socket_permissions",
        "wal_buffers",
        "wal_decode_buffer_size",
        "wal_level",
        "wal_log_hints",
    ]
)


def tuning(memory_mib: int, cores: int, connections: int) -> dict[str, str | int]:
    """Return settings for a server that may count on this memory and these cores.

    A quarter of the memory is PostgreSQL's own cache and half is left to the system's. What sorts and hashes take comes from the
    last quarter, shared by all connections, as if each used two at a time.
    """
    memory, half = int(memory_mib), max(1, int(cores) // 2)
    return {
        "shared_buffers": f"{min(memory // 4, LARGEST_SHARED_BUFFERS_MIB)}MB",
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "work_mem": f"{max(memory * 1024 // 4 // (2 * int(connections)), 1024)}kB",
        "maintenance_work_mem": f"{max(min(memory // 16, LARGEST_MAINTENANCE_MIB), 32)}MB",
        "max_worker_processes": max(WORKERS, int(cores)),
        "max_parallel_workers": int(cores),
        "max_parallel_workers_per_gather": min(half, 4),
        "max_parallel_maintenance_workers": min(half, 4),
    }


def settings(values: dict[str, object], *, restart: bool) -> str:
    """Return the lines of those settings that need a restart, or of the others; what is None is left out."""
    chosen = {
        key: value for key, value in values.items() if needs_restart(key) == restart and value is not None
    }
    return "\n".join(f"{key} = {setting(value)}" for key, value in chosen.items())


def needs_restart(key: str) -> bool:
    """Tell whether a setting is read only at start; an extension's may be."""
    return key.lower() in RESTART or "." in key


def setting(value: object) -> str:
    """Quote a setting as postgresql.conf wants it."""
    text = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    if "\n" in text:
        raise ValueError(f"a setting is one line: {text!r}")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def names(value: str | list[str]) -> str:
    """Return a name, or names, as pg_hba.conf wants them; what is no plain name is quoted and then loses its special meaning."""
    given = [value] if isinstance(value, str) else value
    return ",".join(
        each if re.fullmatch(r"[+@]?[a-z_][a-z0-9_-]*", each) else '"' + each.replace('"', '""') + '"'
        for each in given
    )


def hba_line(entry: dict) -> str:
    """Return the line of one entry of postgresql_hba."""
    address = [entry["address"]] if entry.get("address") else []
    return " ".join(
        [entry["type"], names(entry["database"]), names(entry["user"]), *address, entry["method"]]
    )


def hba_of_database(database: dict) -> str:
    """Return the line that lets a database's users in from the host itself."""
    users = [
        database["owner"],
        *(user for group in ("writers", "readers", "monitors") for user in database.get(group) or []),
    ]
    line = {"type": "hostssl", "database": database["name"], "address": "samehost", "method": "scram-sha-256"}
    return hba_line(line | {"user": list(dict.fromkeys(users))})


def hba_from(login: dict, sources: dict[str, list[str]], more: list[str]) -> list[dict]:
    """Return an entry of postgresql_hba for each address and network of firewall_sources, and for more of them."""
    networks = [ipaddress.ip_network(each) for each in (*sources["ip"], *sources["ip6"], *more)]
    return [{"address": str(network), **login} for network in networks]


def hba_conditions(entries: list[dict]) -> list[dict]:
    """Return what must be true of postgresql_hba, for the module preflight."""
    return [
        {
            "that": entry["type"] != "host"
            or entry["method"] == "reject"
            or loopback(entry.get("address", "")),
            "problem": f"postgresql_hba lets passwords and data cross a network without TLS: {hba_line(entry)}; use hostssl",
        }
        for entry in entries
    ]


def loopback(address: str) -> bool:
    """Tell whether an address or a network is of the host alone."""
    try:
        return ipaddress.ip_network(address, strict=False).is_loopback
    except ValueError:
        return address == "localhost"


def role_conditions(roles: list[dict], strong: list[str]) -> list[dict]:
    """Return what must be true of postgresql_roles, for the module preflight; `strong` names those with a strong password."""
    conditions = []
    for role in roles:
        name, password = role["name"], role["password"]
        theirs = f"postgresql_roles: the password of {name} is"
        conditions += [
            {
                "that": name in strong,
                "problem": f"{theirs} too weak; give it 16 characters or more, varied and not a well-known word",
            },
            {
                "that": str(password).isascii(),
                "problem": f"{theirs} not ASCII, which clients may encode in another way; choose another",
            },
            {
                "that": re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name) is not None
                and not re.match(r"pg_|postgres$", name),
                "problem": f"postgresql_roles: {name} is no name for a role; use a-z, 0-9 and _, and neither postgres nor pg_",
            },
        ]
    return conditions


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "postgresql_hba_conditions": hba_conditions,
            "postgresql_hba_from": hba_from,
            "postgresql_hba_line": hba_line,
            "postgresql_hba_of_database": hba_of_database,
            "postgresql_role_conditions": role_conditions,
            "postgresql_settings": settings,
            "postgresql_tuning": tuning,
        }
