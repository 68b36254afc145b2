"""The order of the tests on hosts: the longest first, and nobody takes what the site has not made yet."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[3] / "molecule/shared"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with logs of its own."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    spec = importlib.util.spec_from_file_location("run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path)
    return module


def test_every_name_in_an_order_is_a_scenario_or_a_folder_of_tests(run: ModuleType) -> None:
    named = {*run.ORDER, *run.LIGHT, *run.SITE_USERS}
    assert named - set(run.APP) <= set(run.scenarios())
    assert all((run.ROOT / "tests" / name).is_dir() for name in run.APP)


def test_all_are_begun_once_the_longest_first_and_the_shortest_last(run: ModuleType) -> None:
    names = [*run.APP, *run.scenarios()]
    ordered = run.in_order(names)
    assert sorted(ordered) == sorted(names)
    assert ordered[: len(run.ORDER)] == list(run.ORDER)
    assert ordered[-len(run.LIGHT) :] == list(run.LIGHT)


def test_what_takes_the_sites_image_waits_until_it_is_made_and_others_go_first(run: ModuleType) -> None:
    waiting = run.Waiting(["bot", "nginx", "redis", "site"])
    assert [waiting.take() for _ in range(3)] == ["site", "nginx", "redis"]
    (run.LOGS / "site.log").write_text("INFO     [site > converge] Executing\n")
    assert not run.site_has_converged()
    (run.LOGS / "site.log").write_text("INFO     [site > idempotence] Executing\n")
    assert waiting.take() == "bot"
    assert waiting.take() is None


def test_a_site_that_failed_holds_nobody_up(run: ModuleType) -> None:
    waiting = run.Waiting(["bot", "site"])
    assert waiting.take() == "site"
    waiting.end("site")
    assert waiting.take() == "bot"


def test_without_the_site_nobody_waits(run: ModuleType) -> None:
    waiting = run.Waiting(["worker", "bot"])
    assert [waiting.take(), waiting.take(), waiting.take()] == ["worker", "bot", None]


def test_one_that_fails_fails_the_run_and_the_others_are_run(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    monkeypatch.setattr(run, "passed", lambda name: begun.append(name) or name != "redis")
    assert not run.all_passed(["redis", "nginx", "integration"])
    assert sorted(begun) == ["integration", "nginx", "redis"]
    assert run.all_passed(["nginx"])
