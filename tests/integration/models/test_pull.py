"""A pulled model is there completely or not at all, whatever the network and the disk do."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.models.vendor import MODEL, Vendor, archive

from aisha.errors import ModelError
from aisha.models import download, install
from aisha.models.catalogue import Model, language
from aisha.models.install import install_from, pull
from aisha.models.store import InstalledModel, installed, installed_models, remove
from aisha.settings import Settings

TURKISH = language("tr").small


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor(archive())
    yield server
    server.close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without delay, and time out after a third of a second."""
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    monkeypatch.setattr(download, "STALL_TIMEOUT", 0.3)


def get(vendor: Vendor, folder: Path, model: Model = TURKISH) -> InstalledModel | None:
    return pull(model, Settings(models_dir=folder, models_url=vendor.url), lambda done, total: None)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pulled_model_is_found_by_its_language_and_nothing_else_is_left(
    vendor: Vendor, tmp_path: Path
) -> None:
    done = get(vendor, tmp_path)
    assert done == installed(tmp_path)["tr"]
    assert done.sha256 == hashlib.sha256(vendor.data).hexdigest()
    assert (done.path / "am" / "final.mdl").stat().st_size == 307_200
    assert left(tmp_path) == [MODEL]


def test_a_second_pull_downloads_nothing(vendor: Vendor, tmp_path: Path) -> None:
    get(vendor, tmp_path)
    assert get(vendor, tmp_path) is None
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("faults", [[503, 429], [-100_000], [-100_000, -50_000, 500], [1.0]])
def test_passing_faults_are_overcome(vendor: Vendor, tmp_path: Path, faults: list[float]) -> None:
    vendor.faults = faults
    assert get(vendor, tmp_path)


def test_a_broken_download_goes_on_where_it_broke(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults = [-100_000]
    get(vendor, tmp_path)
    begin = int(vendor.asked[1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= 100_000


def test_a_later_try_goes_on_where_the_earlier_gave_up(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults = [-100_000] + [503] * 4
    with pytest.raises(ModelError):
        get(vendor, tmp_path)
    assert installed(tmp_path) == {}
    assert get(vendor, tmp_path)
    assert vendor.asked[-1] == vendor.asked[1] is not None


def test_a_file_that_changed_on_the_server_is_downloaded_anew(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults = [-100_000]
    vendor.on_request = lambda: setattr(vendor, "etag", f'"{len(vendor.asked)}"')
    assert get(vendor, tmp_path)


def test_a_server_without_ranges_or_etags_is_good_enough(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults, vendor.ranges, vendor.etag = [-100_000], False, None
    assert get(vendor, tmp_path)


def test_a_wrong_checksum_is_refused_after_a_second_try(tmp_path: Path) -> None:
    vendor = Vendor(archive(), md5="0" * 32)
    with pytest.raises(ModelError, match="checksum"):
        get(vendor, tmp_path)
    assert len(vendor.asked) == 2
    assert left(tmp_path) == []


def test_no_network_is_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    settings = Settings(models_dir=tmp_path, models_url="http://127.0.0.1:9/models")
    with pytest.raises(ModelError) as caught:
        pull(TURKISH, settings, lambda done, total: None)
    assert "HTTPS_PROXY" in str(caught.value)
    assert f"`aisha models pull tr --from {MODEL}.zip`" in str(caught.value)


def test_a_file_that_is_gone_fails_at_once(vendor: Vendor, tmp_path: Path) -> None:
    vendor.faults = [404]
    with pytest.raises(ModelError, match="HTTP 404"):
        get(vendor, tmp_path)
    assert len(vendor.asked) == 1


def test_a_full_disk_is_told_before_the_download(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    with pytest.raises(ModelError, match="MB free"):
        get(vendor, tmp_path)
    assert installed(tmp_path) == {}


def test_a_disk_that_fills_while_unpacking_leaves_no_model(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install.archives, "unpack", full)
    with pytest.raises(ModelError, match="No space left"):
        get(vendor, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    "data",
    [
        archive(extra={"../outside": b"x"}),
        archive(extra={"/outside": b"x"}),
        archive(extra={f"{MODEL}/../../outside": b"x"}),
        archive(links=(f"{MODEL}/link",)),
        b"PK not a zip",
        archive()[:-500],
    ],
    ids=["parent", "absolute", "nested parent", "link", "no zip", "cut off"],
)
def test_an_archive_that_is_evil_or_broken_installs_nothing(data: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "models"
    with pytest.raises(ModelError):
        get(Vendor(data), folder)
    assert left(folder) == []
    assert not list(tmp_path.rglob("outside"))


def test_a_pull_that_is_killed_leaves_nothing_that_looks_installed_and_resumes(
    vendor: Vendor, tmp_path: Path
) -> None:
    vendor.faults = [30.0]
    code = "from aisha.cli import main; main()"
    environment = {**os.environ, "AISHA_MODELS_DIR": str(tmp_path), "AISHA_MODELS_URL": vendor.url}
    process = subprocess.Popen([sys.executable, "-c", code, "models", "pull", "tr"], env=environment)
    part = tmp_path / f".{MODEL}.part"
    deadline = time.monotonic() + 20
    while not vendor.asked and time.monotonic() < deadline:
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert installed_models(tmp_path) == []
    assert get(vendor, tmp_path)
    assert not part.exists()


def test_two_pulls_at_once_download_once(vendor: Vendor, tmp_path: Path) -> None:
    vendor.on_request = lambda: threading.Event().wait(0.1) and None
    results: list[InstalledModel | None] = []
    threads = [threading.Thread(target=lambda: results.append(get(vendor, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1
    assert len(vendor.asked) == 1


def test_an_archive_on_this_machine_installs_without_network(tmp_path: Path) -> None:
    file = tmp_path / f"{MODEL}.zip"
    file.write_bytes(archive())
    assert install_from(TURKISH, file, tmp_path / "models")
    assert installed(tmp_path / "models")["tr"].source == file.name


def test_a_folder_on_this_machine_installs_too(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive())
    with zipfile.ZipFile(tmp_path / "a.zip") as zipped:
        zipped.extractall(tmp_path / "unpacked")
    assert install_from(TURKISH, tmp_path / "unpacked", tmp_path / "models")


def test_another_languages_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive("vosk-model-small-pl-0.22"))
    with pytest.raises(ModelError, match="Polish, not Turkish"):
        install_from(TURKISH, tmp_path / "a.zip", tmp_path / "models")


def test_an_archive_without_a_model_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("README", "empty shell")
    with pytest.raises(ModelError, match="holds no speech model"):
        install_from(TURKISH, tmp_path / "a.zip", tmp_path / "models")


def test_the_large_model_of_a_language_wins(tmp_path: Path) -> None:
    for model in (language("de").large, language("de").small):
        assert model
        (tmp_path / "a.zip").write_bytes(archive(model.name))
        install_from(model, tmp_path / "a.zip", tmp_path / "models")
    assert installed(tmp_path / "models")["de"].size == "large"
    assert len(installed_models(tmp_path / "models")) == 2


def test_a_removed_model_is_gone(vendor: Vendor, tmp_path: Path) -> None:
    done = get(vendor, tmp_path)
    assert done
    remove(done)
    assert left(tmp_path) == []
