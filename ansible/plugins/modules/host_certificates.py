#!/usr/bin/python
"""Bring a host's certificates to what its configuration says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificates
short_description: Bring a host's certificates to what its configuration says
description:
  - Passes what only the control machine knows to the host's program aisha-certificates (from the role certificates), and
    reports what that did. The same program renews certificates between runs.
  - Certificates that our own CA has to sign are returned as requests; the keys stay on the host.
options:
  authority: {description: 'The CA that signs for these hosts, and after it others to trust (PEM).', type: str, default: ""}
  trust: {description: Whether the whole system trusts the CA., type: bool, default: true}
  provided: {description: 'Certificate, key and ca (PEM) by name.', type: dict, default: {}}
  issued: {description: 'Certificates (PEM) signed for this module''s requests, by name.', type: dict, default: {}}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Bring the certificates up to date
  host_certificates:
    authority: "{{ lookup('ansible.builtin.file', 'ca.pem') }}"
  register: certificates
"""
RETURN = r"""
requests:
  description: Signing requests (PEM) by name.
  type: dict
  returned: success
actions:
  description: What was done.
  type: list
  returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

PROGRAM = "/usr/local/sbin/aisha-certificates"


def main() -> None:
    """Run the program, and report what it did."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "authority": {"type": "str", "default": ""},
            "trust": {"type": "bool", "default": True},
            "provided": {"type": "dict", "default": {}, "no_log": True},
            "issued": {"type": "dict", "default": {}},
        },
    )
    command = [PROGRAM, "apply"] + (["--dry-run"] if module.check_mode else [])
    status, out, error = module.run_command(command, data=json.dumps(module.params))
    try:
        report = json.loads(out)
    except ValueError:
        module.fail_json(msg=f"{PROGRAM} exited with {status}: {error.strip()}", actions=[])
    for warning in report["warnings"]:
        module.warn(warning)
    actions = report["actions"]
    if report["problems"]:
        module.fail_json(msg="; ".join(report["problems"]), actions=actions)
    diff = {"before": "", "after": "".join(f"{action}\n" for action in actions)}
    module.exit_json(changed=bool(actions), actions=actions, requests=report["requests"], diff=diff)


if __name__ == "__main__":
    main()
