"""What the image is made of, and that its digest depends on nothing else."""

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "ansible/plugins"
LOCKED = """
av==18.1.0 ; python_full_version < '3.12' \\
    --hash=sha256:aa
av==19.0.2 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:dd
psycopg-binary==3.3.9 ; implementation_name != 'pypy' \\
    --hash=sha256:ee
"""


def plugin(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"images_{Path(path).stem}", PLUGINS / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


filters, oci = plugin("filter/images.py"), plugin("modules/oci_image.py")


def test_requirements_are_those_of_the_images_python() -> None:
    assert filters.image_requirements(LOCKED, "3.13", "x86_64") == [
        "av==19.0.2 --hash=sha256:bb --hash=sha256:cc",
        "psycopg-binary==3.3.9 --hash=sha256:ee",
    ]
    assert filters.image_requirements(LOCKED, "3.11", "x86_64")[0] == "av==18.1.0 --hash=sha256:aa"


def test_every_locked_requirement_has_a_hash() -> None:
    text = (ROOT / "requirements" / "app.txt").read_text()
    found = filters.image_requirements(text, "3.13", "x86_64")
    assert len(found) > 40
    assert [line for line in found if " --hash=sha256:" not in line] == []


def test_wheels_are_asked_for_up_to_the_images_c_library_and_no_newer() -> None:
    options = filters.wheel_options("3.13", "aarch64")
    assert {"--abi=cp313", "--platform=manylinux_2_41_aarch64", "--platform=manylinux2014_aarch64"} <= set(
        options
    )
    assert not [option for option in options if "manylinux_2_42" in option or "musl" in option]


def test_the_archives_date_is_read_in_its_own_time_zone() -> None:
    assert filters.release_epoch("Suite: stable\nDate: Sat, 12 Sep 2026 07:55:41 UTC\n") == 1789199741
    with pytest.raises(ValueError, match="InRelease"):
        filters.release_epoch("<html>Captive portal</html>")


def test_a_digest_does_not_depend_on_the_order_of_names() -> None:
    assert filters.digest_of({"a": 1, "b": [2]}) == filters.digest_of({"b": [2], "a": 1})
    assert filters.digest_of({"a": 1}) != filters.digest_of({"a": 2})


def test_the_list_of_parts_names_each_part_as_scanners_do() -> None:
    packages = filters.debian_packages("libc6\t2.41-12+deb13u4\tamd64\n")
    bom = filters.image_sbom(
        ["Pydantic_Core==2.46.5 --hash=sha256:aa"],
        packages,
        {"name": "aisha", "version": "1", "suite": "trixie"},
    )
    assert [part["purl"] for part in bom["components"]] == [
        "pkg:deb/debian/libc6@2.41-12%2Bdeb13u4?arch=amd64&distro=trixie",
        "pkg:pypi/pydantic-core@2.46.5",
    ]
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")


TRACKED = ["app/aisha/bot.py", "app/aisha_sandbox/web/app.js", "app/one.py", "pyproject.toml"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in TRACKED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    for command in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"),
    ):
        subprocess.run(("git", "-C", tmp_path, *command), check=True)
    return tmp_path


def pack(repository: Path, wanted: Sequence[str] = ("app", "pyproject.toml")) -> tuple[list[str], str]:
    """Run what packs the source; return what the archive holds, and what is said of it."""
    archive = repository / ".cache" / "source.tar"
    command = (ROOT / "roles/images/files/source-archive", archive, *wanted)
    done = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
    with tarfile.open(archive) as tar:
        return sorted(member.name for member in tar if member.isfile()), done.stdout


def test_files_that_git_does_not_know_stay_out(repository: Path) -> None:
    before = pack(repository)
    (repository / "app" / "secret.env").write_text("password\n")
    (repository / "app" / "one.py").touch()
    assert pack(repository) == before
    assert before[0] == TRACKED
    assert before[1].endswith("\ncommitted\n")


def test_a_change_that_is_not_committed_is_in(repository: Path) -> None:
    before = pack(repository)
    (repository / "app" / "one.py").write_text("2\n")
    (repository / "app" / "two.py").touch(0o755)
    subprocess.run(("git", "-C", repository, "add", "app/two.py"), check=True)
    status = ("git", "-C", repository, "status", "--porcelain")
    seen = subprocess.run(status, check=True, capture_output=True).stdout
    names, said = pack(repository)
    assert said.split()[0] != before[1].split()[0]
    assert said.endswith("\nchanged\n")
    assert names == sorted([*TRACKED, "app/two.py"])
    assert subprocess.run(status, check=True, capture_output=True).stdout == seen


def test_a_change_within_the_second_in_which_it_was_added_is_in(repository: Path) -> None:
    """Git then sees no other size or time, and compares contents only if its index is not newer than the file."""
    file, index = repository / "app" / "one.py", repository / ".git" / "index"
    git = ("git", "-C", repository)
    subprocess.run((*git, "config", "core.trustctime", "false"), check=True)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    subprocess.run((*git, "add", "--update"), check=True)
    before = pack(repository)
    file.write_text("2\n")
    for path in (file, index):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert pack(repository)[1].split()[0] != before[1].split()[0]


def test_whether_a_file_may_be_run_matters(repository: Path) -> None:
    before = pack(repository)
    (repository / "app" / "one.py").chmod(0o755)
    assert pack(repository)[1].split()[0] != before[1].split()[0]


def test_a_file_that_was_removed_is_out(repository: Path) -> None:
    (repository / "app" / "two.py").touch()
    subprocess.run(("git", "-C", repository, "add", "app/two.py"), check=True)
    (repository / "app" / "two.py").unlink()
    assert pack(repository)[0] == TRACKED


def test_the_image_changes_with_the_app_and_not_with_the_packages_beside_it(repository: Path) -> None:
    wanted = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_app"]
    (repository / "LICENSE").touch()
    subprocess.run(("git", "-C", repository, "add", "LICENSE"), check=True)
    before = pack(repository, wanted)
    (repository / "app/aisha_sandbox/web/app.js").write_text("2\n")
    assert pack(repository, wanted) == before
    (repository / "app/aisha/bot.py").write_text("2\n")
    assert pack(repository, wanted) != before


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        pack(tmp_path, ["app"])
    assert "not a git repository" in refused.value.stderr


def test_what_git_does_not_have_is_refused(repository: Path) -> None:
    (repository / "LICENSE").touch()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        pack(repository, ["app", "LICENSE"])
    assert "'LICENSE' did not match any file" in refused.value.stderr
    assert [path.name for path in repository.glob(".cache/*")] == []


def layer(files: dict[str, bytes], mtime: int, owner: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = len(data), mtime, owner
            member.pax_headers = {"mtime": f"{mtime}.5", "SCHILY.xattr.user.x": "kept"}
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def saved(folder: Path, layers: list[bytes], created: str) -> Path:
    """Write what `docker save` writes."""
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "container": "a-machine",
        "docker_version": created,
        "config": {"User": "10001", "Hostname": created, "Entrypoint": ["/aisha"], "Labels": {"stage": "x"}},
        "rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]},
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "Layers": names}]
    folder.mkdir()
    with tarfile.open(folder / "saved.tar", "w") as tar:
        parts = {"manifest.json": json.dumps(manifest).encode(), "config.json": json.dumps(config).encode()}
        for name, data in (parts | dict(zip(names, layers, strict=True))).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return folder / "saved.tar"


def made(folder: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def give(*command: str) -> None:
        Path(command[2].partition("=")[2]).write_bytes(archive.read_bytes())

    monkeypatch.setattr(oci, "run", give)
    wanted = {
        "image": "aisha-build:1",
        "layout": str(folder / "built" / "oci"),
        "store": str(folder / "layers"),
        "epoch": 1000,
        "labels": {"a": "b"},
        "history": ["base", "app"],
    }
    result: dict[str, Any] = oci.make(wanted)
    return result


def test_the_digest_does_not_depend_on_times_and_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = layer({"etc/passwd": b"root"}, 5, "")
    one = saved(tmp_path / "one", [base, layer({"opt/a": b"1"}, 5000, "root")], "2026-01-01")
    two = saved(tmp_path / "two", [base, layer({"opt/a": b"1"}, 6000, "builder")], "2026-02-02")
    three = saved(tmp_path / "three", [base, layer({"opt/a": b"2"}, 5000, "root")], "2026-01-01")
    digests = [made(path.parent, path, monkeypatch)["digest"] for path in (one, two, three)]
    assert digests[0] == digests[1] != digests[2]


def test_the_layout_is_whole_and_says_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = layer({"etc/passwd": b"root"}, 5, "")
    archive = saved(tmp_path / "one", [base, layer({"opt/a": b"1"}, 5000, "root")], "2026-01-01")
    result = made(tmp_path, archive, monkeypatch)
    blobs = tmp_path / "built" / "oci" / "blobs" / "sha256"
    for path in blobs.iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    manifest = json.loads((blobs / result["digest"].removeprefix("sha256:")).read_text())
    config = json.loads((blobs / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    assert config["config"] == {"User": "10001", "Entrypoint": ["/aisha"], "Labels": {"a": "b"}}
    assert config["rootfs"]["diff_ids"][0] == f"sha256:{hashlib.sha256(base).hexdigest()}"
    with tarfile.open(blobs / manifest["layers"][1]["digest"].removeprefix("sha256:")) as tar:
        member = tar.getmembers()[0]
    assert (member.mtime, member.pax_headers) == (1000, {"SCHILY.xattr.user.x": "kept"})


def test_a_layer_that_is_known_is_not_compressed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = layer({"etc/passwd": b"root"}, 5, "")
    archive = saved(tmp_path / "one", [base, layer({"opt/a": b"1"}, 5000, "root")], "2026-01-01")
    first = made(tmp_path, archive, monkeypatch)
    monkeypatch.setattr(oci, "compress", lambda *_: pytest.fail("compressed again"))
    assert made(tmp_path, archive, monkeypatch) == first


def test_an_image_of_other_layers_than_expected_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="1 layers, not 2"):
        made(tmp_path, saved(tmp_path / "one", [layer({}, 5, "")], "2026"), monkeypatch)
