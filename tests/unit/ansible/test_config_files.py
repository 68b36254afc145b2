"""Many files are written in one go, all of them or none."""

import grp
import importlib.util
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

FILE = Path(__file__).parents[3] / "ansible/plugins/modules/config_files.py"
SPEC = importlib.util.spec_from_file_location("config_files", FILE)
config_files = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(config_files)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., dict]:
    """Run the module with arguments and return what it answers."""
    monkeypatch.setattr("ansible.module_utils.applied.FOLDER", tmp_path / "applied")
    mine = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}

    def once(*, check: bool = False, **arguments: Any) -> dict:
        for kind in arguments.keys() & {"files", "folders"}:
            arguments[kind] = [mine | each for each in arguments[kind]]
        arguments |= {"_ansible_check_mode": check, "_ansible_remote_tmp": str(tmp_path)}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            config_files.main()
        return json.loads(capsys.readouterr().out)

    return once


def test_files_are_written_once(run: Callable[..., dict], tmp_path: Path) -> None:
    files = [{"path": str(tmp_path / "new/folder/a"), "content": "one\n", "mode": "0640"}]
    assert run(files=files)["changed"]
    assert (tmp_path / "new/folder/a").read_text() == "one\n"
    assert (tmp_path / "new/folder/a").stat().st_mode & 0o777 == 0o640
    assert not run(files=files)["changed"]


def test_check_mode_writes_nothing_and_runs_no_checks(run: Callable[..., dict], tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "a"), "content": "one", "validate": ["/no/such/command", "%s"]}
    assert run(check=True, files=[file])["changed"]
    assert not (tmp_path / "a").exists()


def test_one_wrong_file_leaves_all_as_they_were(run: Callable[..., dict], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    right = {"path": str(tmp_path / "a"), "content": "after"}
    wrong = {"path": str(tmp_path / "b"), "content": "nonsense", "validate": ["grep", "sense of it", "%s"]}
    answer = run(files=[right, wrong])
    assert answer["failed"]
    assert f"{tmp_path}/b stays as it was" in answer["msg"]
    assert (tmp_path / "a").read_text() == "before"


def test_without_content_only_the_mode_is_set(run: Callable[..., dict], tmp_path: Path) -> None:
    (tmp_path / "a").write_text("theirs")
    files = [
        {"path": str(tmp_path / "a"), "mode": "0600"},
        {"path": str(tmp_path / "missing"), "mode": "0600"},
    ]
    assert run(files=files)["written"] == [str(tmp_path / "a")]
    assert (tmp_path / "a").read_text() == "theirs"
    assert not (tmp_path / "missing").exists()


def test_strangers_are_removed_from_a_purged_folder(run: Callable[..., dict], tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    (folder / "old").write_text("old")
    answer = run(files=[{"path": str(folder / "new"), "content": "new"}], purge=[str(folder)])
    assert answer["written"] == [str(folder / "new"), str(folder / "old")]
    assert [each.name for each in folder.iterdir()] == ["new"]


def test_a_command_that_failed_is_run_again_until_it_succeeds(
    run: Callable[..., dict], tmp_path: Path
) -> None:
    files = [{"path": str(tmp_path / "a"), "content": "one"}]
    command = ["test", "-e", str(tmp_path / "ready")]
    assert run(files=files, command=command)["failed"]
    (tmp_path / "ready").touch()
    assert run(files=files, command=command)["changed"]
    assert not run(files=files, command=command)["changed"]
    assert run(files=[], command=command)["changed"]


def test_a_command_without_files_is_not_run(run: Callable[..., dict]) -> None:
    assert not run(files=[], command=["false"])["changed"]


def test_a_new_folder_is_readable_whatever_the_umask(run: Callable[..., dict], tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        run(files=[{"path": str(tmp_path / "new/folder/a"), "content": ""}])
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "new/folder").stat().st_mode & 0o777 == 0o755


def test_folders_get_their_mode_before_files_are_checked(run: Callable[..., dict], tmp_path: Path) -> None:
    validate = ["sh", "-c", f"test -d {tmp_path}/private # %s"]
    wanted = {
        "folders": [{"path": str(tmp_path / "private"), "mode": "0700"}],
        "files": [{"path": str(tmp_path / "private/a"), "content": "a", "validate": validate}],
    }
    assert run(**wanted)["written"] == [str(tmp_path / "private"), str(tmp_path / "private/a")]
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
    assert not run(**wanted)["changed"]


def test_an_owner_that_the_host_does_not_know_is_named(run: Callable[..., dict], tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "a"), "content": "a", "group": "no-such-group"}
    assert "has no such user or group" in run(files=[file])["msg"]
    assert not (tmp_path / "a").exists()
    assert run(check=True, files=[file])["changed"]


def test_a_setting_takes_the_place_of_its_line(run: Callable[..., dict], tmp_path: Path) -> None:
    (tmp_path / "defs").write_text("# UMASK is a mask\n#ROUNDS 1\nUMASK\t\t077\nOTHER 1\n")
    file = {"path": str(tmp_path / "defs"), "settings": {"UMASK": "027", "ROUNDS": 2}}
    assert run(files=[file])["changed"]
    assert (tmp_path / "defs").read_text() == "# UMASK is a mask\n#ROUNDS 1\nUMASK 027\nOTHER 1\nROUNDS 2\n"
    assert not run(files=[file])["changed"]
    assert not run(files=[{"path": str(tmp_path / "absent"), "settings": {"A": 1}}])["changed"]
