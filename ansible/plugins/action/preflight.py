"""Adds to the module preflight, and so to every role's first task, that no variable has a name of an older release."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.plugins.action import ActionBase

RENAMED = {
    "bot_address": "bot_bind",
    "worker_address": "worker_bind",
}
"""What a variable was called and what it is called now. A line stays for good: somebody upgrades from an old release."""


def renamed(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return what to require of the names of variables, as the module preflight wants it: each old one that is used is a problem."""
    return [
        {"that": False, "problem": f"{old} is called {RENAMED[old]} now: rename it where you set it"}
        for old in sorted(RENAMED.keys() & set(names))
    ]


class ActionModule(ActionBase):
    """What Ansible asks for."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with one more thing to require."""
        said = dict(self._task.args)
        said["require"] = [*renamed(task_vars or {}), *(said.get("require") or [])]
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self._execute_module(module_args=said, task_vars=task_vars))
        return result
