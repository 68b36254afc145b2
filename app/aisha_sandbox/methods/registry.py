"""Finds a method's function by its name."""

from collections.abc import Awaitable, Callable
from typing import Any

from aisha_sandbox.core import Core
from aisha_sandbox.params import Params

Method = Callable[[Core, Params], Awaitable[Any]]
METHODS: dict[str, tuple[str, Method]] = {}


def method(function: Method) -> Method:
    """Register a function by its own name, written as Telegram writes it; it is found in lower case."""
    first, *rest = function.__name__.split("_")
    name = first + "".join(word.capitalize() for word in rest)
    METHODS[name.lower()] = (name, function)
    return function
