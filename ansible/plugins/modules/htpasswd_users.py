#!/usr/bin/python
"""Keep a file of users with bcrypt hashes of their passwords."""

from __future__ import annotations

DOCUMENTATION = r"""
module: htpasswd_users
short_description: Keep a file of users with bcrypt hashes of their passwords
description:
  - Writes the users into a file in the format of htpasswd, and nobody else. A user whose hash fits the password keeps it, so
    a run with the same passwords changes nothing.
  - Says whose entries changed, never a password or a hash.
requirements: [python3-bcrypt on the host]
options:
  path: {description: The file., type: path, required: true}
  users: {description: 'Passwords by user name, each of 72 bytes at most: bcrypt ignores the rest.', type: dict, required: true}
  rounds: {description: The logarithm of bcrypt's rounds., type: int, default: 10}
extends_documentation_fragment: [ansible.builtin.files]
author: [Aisha]
"""
EXAMPLES = r"""
- name: Write the registry's users
  htpasswd_users:
    path: /etc/docker/registry/htpasswd
    users: {ci: "{{ vault_registry_push_password }}"}
    mode: "0640"
"""
RETURN = r"""
users:
  description: The names of the users whose entries were added, replaced or removed.
  type: list
  returned: always
"""

import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    import bcrypt
except ImportError:
    bcrypt = None

LONGEST = 72


def entries(text: str) -> dict[str, str]:
    """Return the hashes by user; of a user who stands there twice the first, as the registry takes it."""
    pairs = [line.partition(":") for line in text.splitlines() if ":" in line]
    return {name: hashed for name, _, hashed in reversed(pairs)}


def fits(password: str, hashed: str, rounds: int) -> bool:
    """Tell whether a hash is the password's, with these rounds."""
    try:
        return hashed.startswith(f"$2b${rounds:02}$") and bcrypt.checkpw(password.encode(), hashed.encode())
    except ValueError:
        return False


def wanted_entries(users: dict[str, str], present: dict[str, str], rounds: int) -> dict[str, str]:
    """Return the entries that there shall be: what fits is kept."""
    return {
        name: present[name]
        if fits(password, present.get(name, ""), rounds)
        else bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()
        for name, password in users.items()
    }


def main() -> None:
    """Compare, and write what is wanted."""
    module = AnsibleModule(
        supports_check_mode=True,
        add_file_common_args=True,
        argument_spec={
            "path": {"type": "path", "required": True},
            "users": {"type": "dict", "required": True, "no_log": True},
            "rounds": {"type": "int", "default": 10},
        },
    )
    if bcrypt is None:
        module.fail_json(msg=missing_required_lib("python3-bcrypt"))
    users, path = module.params["users"], Path(module.params["path"])
    if too_long := sorted(name for name, password in users.items() if len(password.encode()) > LONGEST):
        module.fail_json(msg=f"the passwords of {', '.join(too_long)} have more than {LONGEST} bytes")
    present_text = path.read_text(errors="replace") if path.exists() else ""
    present = entries(present_text)
    wanted = wanted_entries(users, present, module.params["rounds"])
    text = "".join(f"{name}:{hashed}\n" for name, hashed in wanted.items())
    differing = sorted(
        name for name in present.keys() | wanted.keys() if present.get(name) != wanted.get(name)
    )
    changed = text != present_text or not path.exists()
    if changed and not module.check_mode:
        with tempfile.NamedTemporaryFile("w", dir=module.tmpdir, delete=False) as partial:
            partial.write(text)
        module.atomic_move(partial.name, str(path))
    if path.exists():
        changed = module.set_fs_attributes_if_different(
            module.load_file_common_arguments(module.params), changed
        )
    module.exit_json(
        changed=changed,
        users=differing,
        diff={"before": "", "after": "".join(f"{name}\n" for name in differing)},
    )


if __name__ == "__main__":
    main()
