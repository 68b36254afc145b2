"""Models are packed once, and are installed on a host completely or not at all."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PLUGINS = Path(__file__).parents[3] / "ansible/plugins/modules"
NAME = "vosk-model-small-tr-0.3"


def plugin(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, PLUGINS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


packing, installing = plugin("model_pack"), plugin("model_install")


@pytest.fixture
def model(tmp_path: Path) -> dict[str, Any]:
    """Return a packed model."""
    folder = tmp_path / "cache" / NAME
    (folder / "am").mkdir(parents=True)
    (folder / "am" / "final.mdl").write_bytes(b"model" * 1000)
    (folder / "aisha-model.json").write_text("{}")
    packed: dict[str, Any] = packing.packed_model(folder, tmp_path / "packed", dry=False)
    return packed


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def deliver(there: Path, model: dict[str, Any]) -> None:
    there.mkdir(exist_ok=True)
    (there / f".{NAME}.tar.gz").write_bytes(Path(model["archive"]).read_bytes())


def apply(
    there: Path, model: dict[str, Any], *, purge: bool = False, dry: bool = False
) -> tuple[list[str], int]:
    needed, changes = installing.apply(there, [model], purge=purge, dry=dry)
    return needed, len(changes)


def test_a_missing_model_is_asked_for_and_installed_when_it_has_arrived(
    model: dict[str, Any], there: Path
) -> None:
    assert apply(there, model) == ([NAME], 0)
    deliver(there, model)
    assert apply(there, model) == ([], 1)
    assert (there / NAME / "am" / "final.mdl").read_bytes() == b"model" * 1000
    assert [path.name for path in there.iterdir()] == [NAME]
    assert apply(there, model) == ([], 0)


def test_half_an_archive_is_asked_for_again(model: dict[str, Any], there: Path) -> None:
    deliver(there, model)
    archive = there / f".{NAME}.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1])
    assert apply(there, model) == ([NAME], 0)
    assert not (there / NAME).exists()


def test_an_archive_of_other_files_is_refused_and_leaves_the_old_model(
    model: dict[str, Any], there: Path
) -> None:
    deliver(there, model)
    apply(there, model)
    deliver(there, model)
    other = model | {"files": model["files"] | {"am/final.mdl": "0" * 64}}
    with pytest.raises(ValueError, match=r"final\.mdl is not what it should be"):
        apply(there, other)
    assert apply(there, model)[0] == []


@pytest.mark.parametrize("damage", ["change", "remove", "add", "hide", "link"])
def test_every_damage_is_seen(model: dict[str, Any], there: Path, damage: str) -> None:
    deliver(there, model)
    apply(there, model)
    file = there / NAME / "am" / "final.mdl"
    if damage == "change":
        file.write_bytes(b"Model" + file.read_bytes()[5:])
    elif damage == "remove":
        file.unlink()
    elif damage == "add":
        file.with_name("more.mdl").touch()
    elif damage == "hide":
        file.chmod(0o600)
    else:
        file.unlink()
        file.symlink_to(os.devnull)
    assert apply(there, model, dry=True) == ([NAME], 0)


def test_other_models_are_removed_only_when_asked(model: dict[str, Any], there: Path) -> None:
    deliver(there, model)
    apply(there, model)
    (there / "other").mkdir()
    (there / "other" / "aisha-model.json").write_text("{}")
    (there / "no-model").mkdir()
    assert apply(there, model) == ([], 0)
    assert apply(there, model, purge=True) == ([], 1)
    assert sorted(path.name for path in there.iterdir()) == ["no-model", NAME]


def test_check_mode_changes_nothing(model: dict[str, Any], there: Path) -> None:
    assert apply(there, model, dry=True) == ([NAME], 0)
    assert not there.exists()


def test_what_was_packed_is_what_is_shipped(model: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "cache" / NAME
    (folder / "am" / "final.mdl").write_bytes(b"broken later")
    assert packing.packed_model(folder, tmp_path / "packed", dry=False) == model
    (folder / "aisha-model.json").write_text('{"another": "model"}')
    assert packing.packed_model(folder, tmp_path / "packed", dry=False)["files"] != model["files"]


def test_a_model_is_packed_the_same_everywhere(model: dict[str, Any], tmp_path: Path) -> None:
    again = packing.packed_model(tmp_path / "cache" / NAME, tmp_path / "elsewhere", dry=False)
    assert again["sha256"] == model["sha256"]
