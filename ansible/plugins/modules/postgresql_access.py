#!/usr/bin/python
"""Have databases of PostgreSQL, roles who log in, and no more access than is named."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_access
short_description: Have databases, roles who log in, and no more access than is named
description:
  - Talks to the local server as postgres through its socket; a run that finds everything in order changes nothing.
  - The roles that are named have exactly what is named, in their attributes, memberships, settings, and in the schema public of
    the databases that are named. Other roles and other schemas are left alone; nothing is ever dropped.
  - Passwords become SCRAM verifiers here, so the server neither sees nor logs them, and a password that fits the verifier the
    server has is left as it is.
options:
  port: {description: The port that names the socket., type: int, default: 5432}
  roles:
    description: Roles who log in.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The name., type: str, required: true}
      password: {description: The password., type: str, required: true}
      connection_limit: {description: 'Most connections at a time; -1 for no limit.', type: int, default: -1}
      member_of: {description: 'Roles whose rights it has too, as pg_monitor.', type: list, elements: str, default: []}
      settings: {description: 'Settings of its sessions, as statement_timeout.', type: dict, default: {}}
  databases:
    description: Databases.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: The name., type: str, required: true}
      owner: {description: 'The role that owns it, creates its tables and migrates them.', type: str, required: true}
      writers: {description: 'Roles that read and write the rows of its tables, also of tables to come.', type: list, elements: str, default: []}
      readers: {description: Roles that read them., type: list, elements: str, default: []}
      monitors: {description: 'Roles that only connect, to see figures.', type: list, elements: str, default: []}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Have the app's database
  postgresql_access:
    roles:
      - {name: shop_owner, password: "{{ vault_owner }}"}
      - {name: shop, password: "{{ vault_app }}", connection_limit: 50, settings: {statement_timeout: 30s}}
    databases:
      - {name: shop, owner: shop_owner, writers: [shop]}
"""
RETURN = r"""
statements:
  description: What was said to the server, without verifiers.
  type: list
  returned: always
"""

import base64
import hashlib
import hmac
import os
import pwd
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import psycopg2
    import psycopg2.extras
except ImportError:
    psycopg2 = None

ITERATIONS = 4096
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
ACCESS = {
    "writers": {
        "DATABASE": {"CONNECT"},
        "SCHEMA": {"USAGE"},
        "TABLES": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "SEQUENCES": {"SELECT", "USAGE"},
    },
    "readers": {"DATABASE": {"CONNECT"}, "SCHEMA": {"USAGE"}, "TABLES": {"SELECT"}, "SEQUENCES": {"SELECT"}},
    "monitors": {"DATABASE": {"CONNECT"}},
}

ROLES = """
SELECT rolname AS name, rolpassword AS verifier, rolconnlimit AS connection_limit,
    rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) AS plain,
    ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid) AS member_of,
    (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0) AS settings
FROM pg_authid r
"""
DATABASES = "SELECT datname AS name, pg_get_userbyid(datdba) AS owner FROM pg_database"

# One row for each privilege that a role has: on what, who ('' is everyone), which; and one without for each object nobody has any on.
GRANTS = """
SELECT kind, object, CASE WHEN grantee = 0 THEN '' ELSE pg_get_userbyid(grantee) END AS role, privilege_type AS privilege
FROM (
    SELECT 'DATABASE' AS kind, datname::text AS object, coalesce(datacl, acldefault('d', datdba)) AS acl
        FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'SCHEMA', nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'public'
    UNION ALL
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END, relname,
        coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'DEFAULT ' || CASE defaclobjtype WHEN 'S' THEN 'SEQUENCES' ELSE 'TABLES' END, '', defaclacl
        FROM pg_default_acl JOIN pg_database ON datdba = defaclrole
        WHERE datname = current_database() AND defaclnamespace = 'public'::regnamespace AND defaclobjtype IN ('r', 'S')
) objects LEFT JOIN LATERAL aclexplode(acl) ON true
"""


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return what PostgreSQL keeps of a password (RFC 5803); the password is plain ASCII."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    keys = (hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256"))
    salt64, stored, server = (base64.b64encode(each).decode() for each in (salt, *keys))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored}:{server}"


def fits(password: str, kept: str | None) -> bool:
    """Tell whether a verifier is of this password."""
    parts = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$.*", kept or "")
    return parts is not None and hmac.compare_digest(
        parts[0], verifier(password, base64.b64decode(parts[2]), int(parts[1]))
    )


def name(identifier: str) -> str:
    """Quote a name."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Quote a string."""
    return "'" + str(value).replace("'", "''") + "'"


def role_statements(wanted: dict, present: dict | None) -> list[str]:
    """Return what makes a role as it is wanted."""
    role = name(wanted["name"])
    now = present or {
        "verifier": None,
        "connection_limit": -1,
        "plain": True,
        "member_of": [],
        "settings": [],
    }
    said = [] if present else [f"CREATE ROLE {role} {ATTRIBUTES}"]
    if not now["plain"]:
        said.append(f"ALTER ROLE {role} {ATTRIBUTES}")
    if now["connection_limit"] != wanted["connection_limit"]:
        said.append(f"ALTER ROLE {role} CONNECTION LIMIT {wanted['connection_limit']}")
    if not fits(wanted["password"], now["verifier"]):
        said.append(f"ALTER ROLE {role} PASSWORD {literal(verifier(wanted['password'], os.urandom(16)))}")
    said += [f"GRANT {name(each)} TO {role}" for each in wanted["member_of"] if each not in now["member_of"]]
    said += [
        f"REVOKE {name(each)} FROM {role}" for each in now["member_of"] if each not in wanted["member_of"]
    ]
    settings = dict(each.split("=", 1) for each in now["settings"] or [])
    for key, value in wanted["settings"].items():
        if settings.get(key) != str(value):
            said.append(f"ALTER ROLE {role} SET {name(key)} = {literal(value)}")
    return said + [
        f"ALTER ROLE {role} RESET {name(key)}" for key in settings if key not in wanted["settings"]
    ]


def database_statements(wanted: dict, present: dict | None) -> list[str]:
    """Return what creates a database, or gives it its owner."""
    if not present:
        return [f"CREATE DATABASE {name(wanted['name'])} OWNER {name(wanted['owner'])} TEMPLATE template0"]
    if present["owner"] == wanted["owner"]:
        return []
    return [f"ALTER DATABASE {name(wanted['name'])} OWNER TO {name(wanted['owner'])}"]


def wanted_access(database: dict, roles: list[str]) -> dict[str, dict[str, set[str]]]:
    """Return the privileges of each role but the owner, by kind of object; '' is everyone."""
    everyone: dict[str, dict[str, set[str]]] = {"": {"DATABASE": set(), "SCHEMA": {"USAGE"}}}
    access: dict[str, dict[str, set[str]]] = {role: {} for role in roles if role != database["owner"]}
    for group in ("monitors", "readers", "writers"):
        access |= dict.fromkeys(database[group], ACCESS[group])
    return everyone | access


def grant_statements(database: dict, roles: list[str], grants: list[dict]) -> list[str]:
    """Return what gives each role its privileges in a database, and takes those that it should not have."""
    said = []
    place = {"DATABASE": f"DATABASE {name(database['name'])}", "SCHEMA": "SCHEMA public"}
    default = f"ALTER DEFAULT PRIVILEGES FOR ROLE {name(database['owner'])} IN SCHEMA public "
    for role, access in wanted_access(database, roles).items():
        for kind in ("DATABASE", "SCHEMA", "TABLES", "SEQUENCES", "DEFAULT TABLES", "DEFAULT SEQUENCES"):
            if role == "" and kind not in place:
                continue
            wanted = access.get(kind.removeprefix("DEFAULT "), set())
            objects: dict[str, set[str]] = {each["object"]: set() for each in grants if each["kind"] == kind}
            objects = objects or ({"": set()} if kind.startswith("DEFAULT") else {})
            for each in grants:
                if each["kind"] == kind and each["role"] == role and each["privilege"]:
                    objects[each["object"]].add(each["privilege"])
            missing = set().union(*(wanted - present for present in objects.values()))
            spare = set().union(*(present - wanted for present in objects.values()))
            on = place.get(kind) or (
                kind.removeprefix("DEFAULT ")
                if kind.startswith("DEFAULT")
                else f"ALL {kind} IN SCHEMA public"
            )
            before, who = default if kind.startswith("DEFAULT") else "", name(role) if role else "PUBLIC"
            if missing:
                said.append(f"{before}GRANT {', '.join(sorted(missing))} ON {on} TO {who}")
            if spare:
                said.append(f"{before}REVOKE {', '.join(sorted(spare))} ON {on} FROM {who}")
    return said


class Server:
    """The local server, spoken to as its superuser through the socket."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.said: list[str] = []

    def connect(self, database: str) -> Any:
        """Connect as the system's user postgres, with nothing of what is said in the server's log."""
        before = os.geteuid()
        os.seteuid(pwd.getpwnam("postgres").pw_uid)
        try:
            quiet = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic -c lock_timeout=30s"
            return psycopg2.connect(
                dbname=database, user="postgres", port=self.module.params["port"], options=quiet
            )
        finally:
            os.seteuid(before)

    def ask(self, connection: Any, question: str) -> list[dict]:
        """Return rows."""
        with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(question)
            return [dict(row) for row in cursor.fetchall()]

    def say(self, connection: Any, statements: list[str]) -> None:
        """Execute statements, except in check mode."""
        self.said += [re.sub(r"SCRAM-SHA-256[^']*", "(hidden)", each) for each in statements]
        if self.module.check_mode:
            return
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)

    def have_roles(self, connection: Any) -> None:
        """Have the roles, all or none."""
        present = {each["name"]: each for each in self.ask(connection, ROLES)}
        for role in self.module.params["roles"]:
            self.say(connection, role_statements(role, present.get(role["name"])))
        connection.commit()

    def have_databases(self, connection: Any) -> list[dict]:
        """Have the databases, and return those that are there now."""
        connection.autocommit = True  # a database is not created in a transaction
        present = {each["name"]: each for each in self.ask(connection, DATABASES)}
        wanted = self.module.params["databases"]
        for database in wanted:
            self.say(connection, database_statements(database, present.get(database["name"])))
        return [each for each in wanted if each["name"] in present or not self.module.check_mode]

    def have_grants(self, database: dict) -> None:
        """Have the privileges in a database, all or none."""
        connection = self.connect(database["name"])
        roles = [role["name"] for role in self.module.params["roles"]]
        self.say(connection, grant_statements(database, roles, self.ask(connection, GRANTS)))
        connection.commit()
        connection.close()


def main() -> None:
    """Compare, and say what is needed."""
    text, names = {"type": "str", "required": True}, {"type": "list", "elements": "str", "default": []}
    role = {
        "name": text,
        "password": text | {"no_log": True},
        "connection_limit": {"type": "int", "default": -1},
        "member_of": names,
        "settings": {"type": "dict", "default": {}},
    }
    database = {"name": text, "owner": text, "writers": names, "readers": names, "monitors": names}
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "port": {"type": "int", "default": 5432},
            "roles": {"type": "list", "elements": "dict", "default": [], "options": role},
            "databases": {"type": "list", "elements": "dict", "default": [], "options": database},
        },
    )
    if psycopg2 is None:
        module.fail_json(msg=missing_required_lib("psycopg2"))
    server = Server(module)
    try:
        connection = server.connect("postgres")
        server.have_roles(connection)
        for each in server.have_databases(connection):
            server.have_grants(each)
    except psycopg2.Error as error:
        module.fail_json(msg=f"PostgreSQL refuses: {error}".strip(), statements=server.said)
    after = "".join(f"{each};\n" for each in server.said)
    module.exit_json(changed=bool(server.said), statements=server.said, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
