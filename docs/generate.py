"""Writes docs/settings.md and docs/metrics.md from the code; a test compares them. Run it by `make docs`."""

from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from pydantic_core import PydanticUndefined

from aisha import metrics
from aisha.settings import Settings, variable

Metric = Counter | Gauge | Histogram
HERE = Path(__file__).parent
GENERATED = "<!-- Written by `make docs`; edit the code instead. -->"


def settings_page() -> str:
    """Return the table of every setting."""
    rows = [
        f"| `{variable(name)}` | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            GENERATED,
            "",
            "Every process reads its settings once, from the environment. A malformed or missing value stops the",
            "process at start, with a message that names the variable. `aisha run` sets the addresses of its embedded",
            "services; an address that you set replaces the embedded service.",
            "",
            "| variable | default | what it does |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def metrics_page() -> str:
    """Return the table of every metric."""
    found = sorted(
        (value for value in vars(metrics).values() if isinstance(value, Metric)),
        key=_name,
    )
    rows = [f"| `{_name(one)}` | {_kind(one)} | {_labels(one)} | {one._documentation} |" for one in found]
    return "\n".join(
        [
            "# Metrics",
            GENERATED,
            "",
            "The bot serves `/metrics` at `AISHA_HEALTH_PORT`, each worker host at `AISHA_WORKER_METRICS_PORT`, for",
            "Prometheus. The Python client adds its own `process_*` and `python_*`.",
            "",
            "| metric | kind | labels | what it counts |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(value: object) -> str:
    return "" if value is None or value is PydanticUndefined else f"`{value}`"


def _name(metric: Metric) -> str:
    return metric._name + ("_total" if isinstance(metric, Counter) else "")


def _kind(metric: Metric) -> str:
    return type(metric).__name__.lower()


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{name}`" for name in metric._labelnames)


PAGES = {HERE / "settings.md": settings_page, HERE / "metrics.md": metrics_page}

if __name__ == "__main__":
    for path, page in PAGES.items():
        path.write_text(page())
