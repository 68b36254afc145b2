"""What modules share: files that are whole, commands that say why they failed, records, digests."""

import os
import sys
from pathlib import Path

import pytest
from ansible.module_utils import applied, commands, digests, files


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with files.replacing(path, mode=0o640, owner=(os.getuid(), os.getgid())) as file:
        file.write(b"after")
        file.flush()
        assert path.read_text() == "before"
        assert (tmp_path / ".file.partial").stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_fails_half_way_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    files.write(tmp_path / "file", "before")
    with pytest.raises(TypeError), files.replacing(tmp_path / "file") as file:
        file.writelines([b"half", None])
    assert (tmp_path / "file").read_text() == "before"
    assert names(tmp_path) == ["file"]


def test_what_a_killed_run_has_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").write_text("half")
    files.write(tmp_path / "file", "whole")
    assert names(tmp_path) == ["file"]


def test_a_link_is_led_elsewhere(tmp_path: Path) -> None:
    files.link(tmp_path / "current", "one")
    files.link(tmp_path / "current", "two")
    assert (tmp_path / "current").readlink() == Path("two")
    assert names(tmp_path) == ["current"]


def test_a_missing_document_says_nothing(tmp_path: Path) -> None:
    assert files.read_json(tmp_path / "none") == {}
    files.write_json(tmp_path / "some", {"b": 1, "a": [2]})
    assert files.read_json(tmp_path / "some") == {"a": [2], "b": 1}


def test_a_record_is_kept_by_its_name_and_a_broken_one_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applied, "FOLDER", tmp_path / "new" / "applied")
    assert applied.applied("unit") == {}
    applied.remember("unit", {"file": "digest"})
    assert applied.applied("unit") == {"file": "digest"}
    assert applied.applied("other") == {}
    (tmp_path / "new" / "applied" / "unit.json").write_text("{")
    assert applied.applied("unit") == {}


def test_a_command_tells_what_it_printed_or_why_it_failed() -> None:
    assert commands.run("cat", stdin=" text\n") == "text"
    assert commands.run("sh", "-c", "echo told; exit 3", check=False) == "told"
    with pytest.raises(commands.CommandError, match=r"^sh -c echo why >&2; exit 3: why$") as failure:
        commands.run("sh", "-c", "echo why >&2; exit 3")
    assert failure.value.said == "why"
    with pytest.raises(commands.CommandError, match=r"^false: $"):
        commands.run("false")
    with pytest.raises(commands.CommandError, match=r"/no/such/command: .*No such file"):
        commands.run("/no/such/command")


def test_bytes_that_are_no_text_are_shown_all_the_same() -> None:
    assert commands.run(sys.executable, "-c", r"print(end='a'); open(1, 'wb').write(b'\xff')") == "a\ufffd"


def test_a_digest_is_of_what_is_said_not_of_how(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert digests.of_file(tmp_path / "file") == digests.of_text("text")
    assert digests.of_value({"a": 1, "b": 2}) == digests.of_value({"b": 2, "a": 1})
