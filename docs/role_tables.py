"""Writes the table of variables in each role's README from its specs; a test compares them. Run by `make docs`."""

import re
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parents[1] / "roles"
BEGIN, END = "<!-- variables -->", "<!-- /variables -->"
TABLE = re.compile(f"{BEGIN}.*{END}", re.DOTALL)


def options(role: Path) -> dict[str, dict[str, Any]]:
    """Return the options of a role's argument specs, by name."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    found: dict[str, dict[str, Any]] = specs["argument_specs"]["main"]["options"]
    return found


def defaults(role: Path) -> dict[str, Any]:
    """Return a role's defaults as they are written, expressions unevaluated."""
    return yaml.safe_load((role / "defaults" / "main.yml").read_text()) or {}


def readme(role: Path) -> str:
    """Return a role's README with the table as it should be."""
    given = defaults(role)
    rows = [
        f"| `{name}` | {_type(option)} | {_default(given.get(name), option)} | {_description(option)} |"
        for name, option in options(role).items()
    ]
    head = [BEGIN, "| variable | type | default | what it does |", "|---|---|---|---|"]
    table = "\n".join([*head, *rows, END])
    return TABLE.sub(lambda _: table, (role / "README.md").read_text())


def _type(option: dict[str, Any]) -> str:
    elements = f" of {option['elements']}" if "elements" in option else ""
    choices = f": {', '.join(map(str, option['choices']))}" if "choices" in option else ""
    return f"{option.get('type', 'str')}{elements}{choices}"


def _default(value: Any, option: dict[str, Any]) -> str:
    if option.get("required"):
        return "from the vault" if value is not None else "required"
    text = " ".join(str(value).split()).replace("|", "\\|")
    return f"`{text}`" if len(text) <= 60 else "see `defaults/main.yml`"


def _description(option: dict[str, Any]) -> str:
    said = option["description"]
    return " ".join(" ".join(said if isinstance(said, list) else [said]).split()).replace("|", "\\|")


if __name__ == "__main__":
    for folder in sorted(path for path in ROLES.iterdir() if (path / "README.md").exists()):
        (folder / "README.md").write_text(readme(folder))
