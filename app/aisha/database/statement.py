"""One SQL statement: its text and values, the class of its rows, and which stages its change wakes.

A table's module makes statements and runs none; a connection does. So each is written once, whether a bot awaits
`connection.one(jobs.claim(...))` or a work-horse calls it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, Literal, TypeVar

from psycopg.rows import BaseRowFactory, scalar_row

Row = TypeVar("Row", covariant=True)
Stage = Literal["handle", "store", "dispatch", "answer", "send", "lease", "erase"]
"""What a bot does in a loop of its own, which can be woken."""


@dataclass(frozen=True, slots=True)
class Statement(Generic[Row]):
    """What a connection's `one`, `only`, `all` and `run` take.

    A row is its first value unless `rows` says otherwise. The stages of `wakes` are woken if a row was changed.
    """

    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)
    rows: BaseRowFactory[Row] = scalar_row
    wakes: tuple[Stage, ...] = ()


def columns(row: type) -> str:
    """Return the columns of a row class: `*` would break this release on a schema that a newer one has expanded."""
    return ", ".join(each.name for each in fields(row))
