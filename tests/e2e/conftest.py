"""One running tree for all end-to-end tests; a fault that a test injects is removed before the next."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Telegram, Tree, running


@pytest.fixture(scope="session")
def tree(models_dir: Path) -> Iterator[Tree]:
    """`aisha run`, ready."""
    with (
        tempfile.TemporaryDirectory(prefix="aisha-") as folder,
        running(Tree(Path(folder) / "data", models_dir, AISHA_FILE_PATIENCE="2")) as started,
    ):
        yield started


@pytest.fixture(scope="session")
def telegram(tree: Tree) -> Telegram:
    """People who write to the bot."""
    return Telegram(tree.url)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of the tree's log beside a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    shown = getattr(item, "funcargs", {}).get("tree")
    if report.failed and isinstance(shown, Tree):
        report.sections.append(("aisha run", shown.tail(40)))
