"""Import aiogram in half the time.

Its 400 types ask Pydantic to build them on first use (`defer_build`), but `aiogram.types` ends with a loop that
builds them all, because their annotations name types of modules that they do not import. Here that loop does nothing,
and every module is given the names instead, so that each type is built when it is first used.
"""

import sys

from pydantic import BaseModel


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
