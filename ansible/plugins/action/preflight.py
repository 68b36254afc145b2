"""Makes the module preflight, and so every role's first task, reject variables under names of older releases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible.plugins.action import ActionBase

RENAMED = {
    "bot_address": "bot_bind",
    "worker_address": "worker_bind",
}
"""Old and new names of variables. Lines are never removed: somebody may upgrade from any old release."""


def renamed(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return a failed condition, as the module preflight takes it, for each old name in use."""
    return [
        {"that": False, "problem": f"{old} is called {RENAMED[old]} now: rename it where you set it"}
        for old in sorted(RENAMED.keys() & set(names))
    ]


class ActionModule(ActionBase):
    """What Ansible loads."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with these conditions added."""
        said = dict(self._task.args)
        said["require"] = [*renamed(task_vars or {}), *(said.get("require") or [])]
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self._execute_module(module_args=said, task_vars=task_vars))
        return result
