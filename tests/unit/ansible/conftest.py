"""Modules find the code that they share, as Ansible sends it along."""

from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[3] / "ansible/plugins/module_utils"))
