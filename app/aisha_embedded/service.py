"""What the embedded services have in common."""

import os
from typing import Protocol

from aisha_embedded.process import Spec


class Service(Protocol):
    """A server of which `Services` starts one."""

    name: str
    port_count: int

    def spec(self, ports: list[int]) -> Spec:
        """Return how to run it on these ports."""

    def environment(self, ports: list[int]) -> dict[str, str]:
        """Return the variables that lead the app to it."""


def bare_environment() -> dict[str, str]:
    """Return an environment for a server: none of the app's settings and secrets are its business."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
