"""Models as the workers of a host find them."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest
import testinfra
from plays import play

FOLDER = "/var/lib/aisha/models"
ENGLISH, TURKISH = "vosk-model-small-en-us-0.15", "vosk-model-small-tr-0.3"
HOSTS = ("models-bookworm", "models-trixie")
CACHE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "models"


@pytest.fixture
def hosts(host):
    """Return all hosts, once: a playbook runs for all of them at the same time."""
    if host.backend.host != HOSTS[0]:
        pytest.skip("done with the first host")
    return [testinfra.get_host(f"docker://{name}") for name in HOSTS]


def here(model):
    """Return the digest of each file of a model on this machine."""
    paths = (path for path in (CACHE / model).rglob("*") if path.is_file())
    return {
        str(path.relative_to(CACHE / model)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }


def there(host, model):
    """Return the digest of each file of a model on the host."""
    lines = host.check_output(f"cd {FOLDER}/{model} && find . -type f -exec sha256sum {{}} +").splitlines()
    return {path.removeprefix("./"): digest for digest, path in (line.split("  ") for line in lines)}


@pytest.mark.parametrize("model", [ENGLISH, TURKISH])
def test_a_model_is_there_file_by_file(host, model):
    assert there(host, model) == here(model) != {}


def test_the_english_model_is_the_real_one(host):
    marker = json.loads(host.file(f"{FOLDER}/{ENGLISH}/aisha-model.json").content_string)
    assert marker["sha256"] == "8a5792fccaf873b4745dbd1b3fe19d8a77a15898e806674020eea820424771cd"
    assert host.file(f"{FOLDER}/{ENGLISH}/am/final.mdl").size > 10**7


def test_everybody_reads_and_only_root_writes(host):
    assert host.check_output(f"find {FOLDER} ! -user root") == ""
    assert host.check_output(f"find {FOLDER} -type d ! -perm 0755") == ""
    assert host.check_output(f"find {FOLDER} -type f ! -perm 0644") == ""
    assert host.run(f"runuser -u nobody -- cat {FOLDER}/{ENGLISH}/am/final.mdl > /dev/null").rc == 0


def test_nothing_is_left_of_the_transfer(host):
    assert sorted(host.file(FOLDER).listdir()) == [ENGLISH, TURKISH]


DAMAGE = f"""
cd {FOLDER}
printf x | dd of={ENGLISH}/am/final.mdl bs=1 seek=1000 conv=notrunc status=none
mv {TURKISH} .{TURKISH}.unpacking
rm .{TURKISH}.unpacking/conf/model.conf
echo half > .{TURKISH}.tar.gz
mkdir .{ENGLISH}.old
"""


def test_a_changed_file_and_an_interrupted_installation_are_made_good(hosts):
    for host in hosts:
        host.check_output(DAMAGE)
    done = play()
    assert done.succeeded, done.said
    assert f"installed {ENGLISH}, of which 1 files were missing or wrong" in done.said
    for host in hosts:
        assert {model: there(host, model) for model in (ENGLISH, TURKISH)} == {
            model: here(model) for model in (ENGLISH, TURKISH)
        }
        assert sorted(host.file(FOLDER).listdir()) == [ENGLISH, TURKISH]
    assert play().changes == [0, 0]


def test_a_model_that_is_not_wanted_stays_unless_it_is_purged(hosts):
    assert play(models_languages=["en"]).changes == [0, 0]
    assert play(models_languages=["en"], models_purge=True).changes == [1, 1]
    assert [host.file(FOLDER).listdir() for host in hosts] == [[ENGLISH], [ENGLISH]]


def test_an_archive_that_had_arrived_is_not_sent_again(hosts):
    archive = CACHE / ".packed" / f"{TURKISH}.tar.gz"
    for host in hosts:
        host.run_test(f"rm -rf {FOLDER}/{TURKISH}")
        place = f"{host.backend.name}:{FOLDER}/.{TURKISH}.tar.gz"
        subprocess.run(("docker", "cp", archive, place), check=True, capture_output=True)
    assert play().changes == [1, 1]
    assert [there(host, TURKISH) == here(TURKISH) for host in hosts] == [True, True]


def test_models_survive_a_reboot(host, reboot):
    reboot()
    assert there(host, ENGLISH) == here(ENGLISH)


def test_what_cannot_work_is_refused_before_anything_changes(hosts):
    wrong = {
        "models_languages": ["en", "xx", "pl"],
        "models_large": ["pl", "fr"],
        "models_dir": "models",
        "models_min_free_mib": 2**40,
    }
    done = play(**wrong)
    assert not done.succeeded
    assert set(done.changes) == {0}
    for sentence in (
        "models_languages has xx",
        "models_large has fr",
        "of which there is no large",
        "models_dir is",
        "models_min_free_mib",
    ):
        assert sentence in done.said
