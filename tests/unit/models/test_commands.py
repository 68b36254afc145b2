"""`aisha models`, as far as it needs no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aisha.errors import ModelError
from aisha.models import cli
from aisha.models.catalogue import LANGUAGES, language
from aisha.models.cli import models_command
from aisha.models.store import InstalledModel, write_marker
from aisha.settings import Settings


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an English model in name only."""
    monkeypatch.setenv("AISHA_MODELS_DIR", str(tmp_path))
    path = tmp_path / "vosk-model-small-en-us-0.15"
    path.mkdir()
    write_marker(InstalledModel(path.name, "en", "small", path))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models_command, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_every_language_has_a_small_model_and_names_in_three_languages() -> None:
    assert set(LANGUAGES) == {"en", "ru", "uk", "de", "fr", "es", "it", "pt", "pl", "tr"}
    assert all(one.english and one.russian and one.native and one.small for one in LANGUAGES.values())


def test_an_unknown_language_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"en \(English\), ru \(Russian\)"):
        language("xx")


def test_a_language_without_a_large_model_says_so() -> None:
    with pytest.raises(ModelError, match="no large model for Turkish"):
        language("tr").model("large")


def test_the_list_tells_what_is_installed(models: Path) -> None:
    rows = json.loads(run("list", "--json"))
    assert [row["model"] for row in rows if row["installed"]] == ["vosk-model-small-en-us-0.15"]
    assert len(json.loads(run("list", "--json", "--installed"))) == 1
    assert "vosk-model-small-uk-v3-small" in run("list")


def test_a_pull_of_what_is_installed_says_so_or_nothing(models: Path) -> None:
    assert "nothing to download" in run("pull", "en")
    assert run("pull", "en", "--quiet-if-installed") == ""


def test_asking_whether_there_is_anything_to_pull_imports_nothing_heavy(models: Path) -> None:
    code = (
        "import sys; from aisha.cli import cli;"
        "cli.main(['models', 'pull', 'en', '--quiet-if-installed'], standalone_mode=False);"
        "print([m for m in ('vosk', 'aiogram', 'requests', 'pydantic', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=dict(os.environ))
    assert done.stdout == b"[]\n"


def test_a_model_without_its_marker_is_not_installed(models: Path) -> None:
    (models / "vosk-model-small-ru-0.22" / "am").mkdir(parents=True)
    (models / ".vosk-model-small-tr-0.3.unpacking").mkdir()
    (models / ".vosk-model-small-tr-0.3.unpacking" / "aisha-model.json").write_text("{}")
    assert len(json.loads(run("list", "--json", "--installed"))) == 1


def test_removing_what_is_not_there_is_an_error(models: Path) -> None:
    with pytest.raises(ModelError, match="'ru'"):
        run("remove", "ru")


def test_a_model_is_removed_by_language_or_name(models: Path) -> None:
    assert "Removed" in run("remove", "en")
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("environment", [{}, {"AISHA_DATA_DIR": "data"}, {"AISHA_MODELS_DIR": "~/models"}])
def test_the_folder_is_that_of_the_settings(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AISHA_DATA_DIR", "AISHA_MODELS_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli._models_path() == Settings().models_path


def test_a_download_says_at_once_that_it_goes_on_where_no_terminal_shows_a_bar(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with cli._progress(language("fr").small) as progress:
        progress(0, 41_000_000)
    assert capsys.readouterr().err == "vosk-model-small-fr-0.22: downloading\n"
