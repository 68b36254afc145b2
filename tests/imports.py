"""Which modules a file of the app imports, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

APP = Path(__file__).parents[1] / "app"


def name_of(path: Path) -> str:
    """Return a module's name."""
    return ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in sorted(APP.rglob("*.py"))}
"""The app's own modules, by name."""


def imports(path: Path) -> Iterator[str]:
    """Yield every name that a file imports, at any depth; `from a import b` may mean the module `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path: Path) -> set[str]:
    """Return the app's own modules that a file imports; of `from aisha import logs` that is `aisha.logs` alone."""
    found = MODULES.keys() & set(imports(path))
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}
