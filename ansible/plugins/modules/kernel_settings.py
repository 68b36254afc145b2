#!/usr/bin/python
"""Set what the kernel lets be set, now and at boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_settings
short_description: Set what the kernel lets be set, now and at boot
description:
  - Writes a file of sysctl.d, and applies what differs at once.
  - Settings that this kernel does not have are left out. In a container, so are all but those of its network, because the
    kernel belongs to the machine.
  - A setting that the kernel refuses is told as a warning and does not fail the run.
options:
  path: {description: The file., type: path, required: true}
  settings: {description: 'Values by name, as in net.ipv4.tcp_syncookies; one that is empty is left alone.', type: dict, required: true}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Do not say where the kernel lies
  kernel_settings:
    path: /etc/sysctl.d/99-aisha.conf
    settings: {kernel.kptr_restrict: 2}
"""
RETURN = r"""
applied:
  description: The settings whose values in the running kernel were changed.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.files import write

HEADER = "# Ansible managed\n"
KERNEL = Path("/proc/sys")


def place(name: str) -> Path:
    """Return the file of a setting."""
    return KERNEL / name.replace(".", "/")


def ours(settings: dict, *, in_container: bool) -> dict[str, str]:
    """Return the settings that there are, and that are this host's to set."""
    wanted = {
        name: " ".join(str(value).split())
        for name, value in sorted(settings.items())
        if value not in (None, "")
    }
    return {
        n: value
        for n, value in wanted.items()
        if place(n).exists() and (n.startswith("net.") or not in_container)
    }


def present(name: str) -> str | None:
    """Return a setting's value; nothing when it may not be read."""
    try:
        return " ".join(place(name).read_text().split())
    except OSError:
        return None


def apply(name: str, value: str) -> str | None:
    """Set a value in the running kernel; return why that was refused."""
    try:
        place(name).write_text(value)
    except OSError as error:
        return f"{name} stays {present(name)}: {error.strerror}"
    return None


def main() -> None:
    """Write and apply."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "path": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True},
        },
    )
    path = Path(module.params["path"])
    settings = ours(module.params["settings"], in_container=Path("/run/systemd/container").exists())
    text = HEADER + "".join(f"{name} = {value}\n" for name, value in settings.items())
    before = path.read_text() if path.exists() else ""
    due = [name for name, value in settings.items() if present(name) != value]
    refused: dict[str, str] = {}
    if not module.check_mode:
        if text != before:
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, text)
        refused = {name: why for name in due if (why := apply(name, settings[name]))}
        for why in refused.values():
            module.warn(why)
    applied = [name for name in due if name not in refused]
    diff = {"before": before, "after": text, "before_header": str(path), "after_header": str(path)}
    module.exit_json(changed=bool(text != before or applied), applied=applied, diff=diff)


if __name__ == "__main__":
    main()
