"""One erasure set over both hosts. It takes the place of what the other tests used, so its file comes after theirs."""

import subprocess

import pytest
import urllib3
from hosts import wait_for_host
from minio import S3Error
from objects import SET, SINGLE, client, get, put, read_or_none
from plays import play

OVER_BOTH = {
    "minio_volumes": [f"https://{name}/srv/set{number}" for name in (SINGLE, SET) for number in (1, 2)],
    "minio_drives_on_system_disk": True,
}


@pytest.fixture(scope="module", autouse=True)
def made():
    """What came of making the set."""
    done = play(**OVER_BOTH)
    assert done.succeeded, done.said


@pytest.fixture
def only_once(host):
    if host.backend.host != SET:
        pytest.skip("asked of the other host")


@pytest.fixture
def lost(only_once):
    """The other host, stopped for as long as the test wants."""
    subprocess.run(("docker", "stop", SINGLE), check=True, capture_output=True)
    yield SINGLE
    subprocess.run(("docker", "start", SINGLE), check=True, capture_output=True)
    wait_for_host(SINGLE)


def writes(host, key):
    """Tell whether the app may write."""
    try:
        put(client(host, "app"), key)
    except (S3Error, urllib3.exceptions.HTTPError):
        return False
    return True


def test_a_second_run_changes_nothing(only_once):
    done = play(**OVER_BOTH)
    assert done.succeeded, done.said
    assert set(done.changes) == {0}


def test_each_host_has_what_the_app_wrote(host):
    key = f"recordings/of-{host.backend.host}"
    put(client(host, "app"), key, b"yes")
    for number in (1, 2):
        assert host.file(f"/srv/set{number}/aisha/{key}/xl.meta").exists
    assert get(client(host, "app"), key) == b"yes"


def test_all_is_read_while_a_host_is_lost(host, eventually, lost):
    assert lost != host.backend.host
    assert eventually(lambda: read_or_none(host, f"recordings/of-{SET}") == b"yes")


def test_it_is_written_again_when_the_host_is_back(host, eventually, only_once):
    assert eventually(lambda: writes(host, "recordings/later"))
