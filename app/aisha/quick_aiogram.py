"""aiogram, quicker: to import, and to choose a handler.

Its 400 types ask Pydantic to build them on first use (`defer_build`), but `aiogram.types` ends with a loop that
builds them all, because their annotations name types of modules that they do not import. Here that loop does nothing,
and every module is given the names instead, so that each type is built when it is first used.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from aiogram import Router


def import_aiogram() -> None:
    """Import `aiogram` without building its types."""
    rebuild = BaseModel.__dict__["model_rebuild"]
    BaseModel.model_rebuild = classmethod(lambda cls, **_: None)  # type: ignore[method-assign, assignment]
    try:
        from aiogram import types
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
    names = {name: getattr(types, name) for name in types.__all__}
    for module in [vars(m) for path, m in sys.modules.items() if path.startswith("aiogram.types.")]:
        for name, kind in names.items():
            module.setdefault(name, kind)


def without_threads(router: "Router") -> None:
    """Let the filters of a router, and of those that it includes, run in the event loop.

    aiogram gives each filter that is not a coroutine to a thread of the default executor; ours only compare.
    """
    for each in router.chain_tail:
        for observer in each.observers.values():
            for handler in observer.handlers:
                for condition in handler.filters or ():
                    if not condition.awaitable:
                        condition.callback, condition.awaitable = _in_loop(condition.callback), True


def _in_loop(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def condition(*args: Any, **options: Any) -> Any:
        return call(*args, **options)

    return condition
