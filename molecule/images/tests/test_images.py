"""The image as its users find it: each host is a builder with a registry, and the other host pulls from it."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import testinfra
from plays import play

ROOT = Path(__file__).parents[3]
HOSTS = ("images-bookworm", "images-trixie")
PUSH, PULL = "push-password-of-builder-8c1", "pull-password-of-app-2e9"
FOLDER = "/var/cache/images-build"
MODELS = "--volume=/srv/models:/var/lib/aisha/models:ro"
SPEECH = "/usr/share/pocketsphinx/test/data/librivox"
CONFINED = "--rm --network=none --read-only --cap-drop=ALL --security-opt=no-new-privileges"


def name(host):
    return host.backend.host


def only(host, one):
    """Skip a long test on all hosts but one."""
    if name(host) != one:
        pytest.skip("once is enough")


def records(host):
    """Return the records of what a builder keeps, the newest first."""
    paths = host.check_output(f"ls -t {FOLDER}/built/*/record.json").split()
    return [json.loads(host.file(path).content_string) for path in paths]


def record(host):
    return records(host)[-1]


@pytest.fixture(scope="module")
def reference(host):
    """Return the image's name by digest; the host has pulled it from the other host's registry."""
    registry = next(other for other in HOSTS if other != name(host))
    digest = record(testinfra.get_host(f"docker://{registry}"))["digest"]
    image = f"{registry}:5000/aisha@{digest}"
    host.run_test(f"echo {PULL} | docker login --username=app --password-stdin {registry}:5000")
    host.check_output(f"docker pull --quiet {image}")
    host.run_test(f"docker logout {registry}:5000")
    return image


def run(host, reference, command, options=""):
    return host.check_output(f"docker run {CONFINED} {options} {reference} {command}")


def find(host, reference, expression):
    """Return the paths that find finds in the image, as far as its user sees them."""
    script = f"find / -xdev {expression} 2> /dev/null; true"
    return set(run(host, reference, f"-c {shlex.quote(script)}", "--entrypoint=/bin/sh").split())


def python(host, reference, code):
    return run(host, reference, f"-c '{code}'", "--entrypoint=/opt/aisha/bin/python")


def test_the_command_runs(host, reference):
    assert "transcribe" in run(host, reference, "--help")
    assert run(host, reference, "--version").split()[-1] == record(host)["version"]


def test_speech_becomes_text_without_network_rights_or_a_writable_file(host, reference):
    wave = "sense_and_sensibility_01_austen_64kb-0870.wav"
    said = run(
        host, reference, f"transcribe /speech/{wave} --format txt", f"{MODELS} --volume={SPEECH}:/speech:ro"
    )
    assert "john dashwood had then leisure to consider" in said


def test_it_runs_as_a_user_without_rights(host, reference):
    assert (
        host.check_output(f"docker image inspect --format={{{{.Config.User}}}} {reference}") == "10001:10001"
    )
    assert run(host, reference, "", "--entrypoint=/usr/bin/id").startswith(
        "uid=10001(aisha) gid=10001(aisha)"
    )
    assert find(host, reference, "-writable -not -type l -not -path '/proc/*'") <= {
        "/tmp",
        "/var/tmp",
        "/run/lock",
    }


def test_what_only_the_build_needed_is_not_in_it(host, reference):
    names = ("pip", "pip-*", "*.whl", "apt", "setuptools", "ensurepip", "gcc", "wheels", "source")
    found = find(host, reference, " -o ".join(f"-name '{each}'" for each in names))
    assert {
        path for path in found if not path.startswith(("/proc/", "/usr/share/", "/var/", "/etc/"))
    } == set()


def test_no_module_is_compiled_at_a_start(host, reference):
    code = (
        "import pathlib, importlib.util as u\n"
        'for folder in ("/opt/aisha/lib", "/usr/lib/python3.13"):\n'
        '    for path in pathlib.Path(folder).rglob("*.py"):\n'
        "        compiled = pathlib.Path(u.cache_from_source(str(path)))\n"
        "        if not compiled.exists() or compiled.read_bytes()[4] != 1: print(path)\n"
    )
    assert [p for p in python(host, reference, code).split() if "/lib2to3/" not in p] == []


def test_every_part_of_the_app_can_be_imported(host, reference):
    code = (
        "import aisha, pkgutil, importlib\n"
        'for module in pkgutil.walk_packages(aisha.__path__, "aisha."):\n'
        '    if not module.name.startswith(("aisha.__main__", "aisha.database.migrations")):\n'
        "        importlib.import_module(module.name)\n"
        "        print(module.name)\n"
        "import numpy, lxml.etree, av, vosk, psycopg, uvloop\n"
    )
    sources = {path.relative_to(ROOT / "app").with_suffix("") for path in (ROOT / "app/aisha").rglob("*.py")}
    modules = {
        ".".join(path.parts).removesuffix(".__init__") for path in sources if "migrations" not in path.parts
    }
    assert {"aisha", "aisha.__main__", *python(host, reference, code).split()} == modules


def test_the_packages_for_developers_are_not_in_it(host, reference):
    code = (
        "from importlib.util import find_spec\n"
        'print([find_spec(name) for name in ("aisha_embedded", "aisha_sandbox")])'
    )
    assert python(host, reference, code) == "[None, None]"
    refused = host.run(f"docker run {CONFINED} {reference} sandbox")
    assert refused.rc == 1
    assert refused.stderr.startswith("aisha: `aisha sandbox` is not part of this installation")


def test_the_fast_allocator_is_found(host, reference):
    code = "from aisha.speech.allocator import find_fast_allocator as f; print(f())"
    assert "libmimalloc" in python(host, reference, code)


def test_it_has_no_secret(host, reference):
    told = host.check_output(f"docker history --no-trunc {reference}; docker image inspect {reference}")
    for secret in (PUSH, PULL):
        assert secret not in told


def test_the_password_is_nowhere_on_the_builder(host):
    held = host.run(
        f"grep -rlsF --exclude-dir=proc --exclude-dir=sys {PUSH} /root /tmp /var/tmp /var/cache /run /etc /home"
    ).stdout
    assert held.split() == []


def test_it_says_what_it_is_made_of(host, reference):
    inside = json.loads(run(host, reference, "/usr/share/aisha/sbom.cdx.json", "--entrypoint=/usr/bin/cat"))
    kept = json.loads(host.check_output(f"cat {FOLDER}/built/{record(host)['tag']}/sbom.cdx.json"))
    assert inside == kept
    purls = {part["purl"] for part in inside["components"]}
    assert "pkg:pypi/vosk@0.3.45" in purls
    listed = run(host, reference, "/usr/share/aisha/packages.txt", "--entrypoint=/usr/bin/cat").splitlines()
    assert sum(purl.startswith("pkg:deb/") for purl in purls) == len(listed) > 40
    assert any(line.startswith("python3.13\t3.13.") for line in listed)


def test_every_installed_package_is_the_locked_one(host, reference):
    code = 'import importlib.metadata as m; print([d.name.lower().replace("_", "-") + "==" + d.version for d in m.distributions()])'
    installed = set(python(host, reference, code).strip("[]'\n").split("', '"))
    locked = {line.lower() for line in record(host)["python"]}
    assert {line for line in installed if not line.startswith("aisha==")} == locked


def test_the_labels_tell_version_and_source(host, reference):
    labels = json.loads(
        host.check_output(f"docker image inspect --format='{{{{json .Config.Labels}}}}' {reference}")
    )
    made = record(host)
    assert labels["org.opencontainers.image.version"] == made["version"]
    assert labels["org.opencontainers.image.revision"] == made["revision"]
    assert made["revision"].startswith(made["tag"])


def test_both_engines_make_the_same_image(host):
    made = [record(testinfra.get_host(f"docker://{each}")) for each in HOSTS]
    assert made[0]["engine"] != made[1]["engine"]
    assert made[0]["digest"] == made[1]["digest"]


def test_a_registry_that_was_emptied_is_given_the_image_again_without_a_build(host):
    only(host, "images-bookworm")
    before = host.check_output(f"stat --format=%Y {FOLDER}/built/{record(host)['tag']}/record.json")
    host.run_test(
        "systemctl stop docker-registry && rm -rf /var/lib/docker-registry/docker && systemctl start docker-registry"
    )
    run = play(limit=name(host))
    assert run.succeeded, run.said
    assert "Build without network" not in run.said
    assert run.changes == [1]
    assert host.check_output(f"stat --format=%Y {FOLDER}/built/{record(host)['tag']}/record.json") == before


def test_check_mode_needs_no_registry(host):
    only(host, "images-bookworm")
    host.check_output("systemctl stop docker-registry")
    try:
        run = play(limit=name(host), check=True)
    finally:
        host.check_output("systemctl start docker-registry")
    assert run.succeeded, run.said


def test_a_changed_file_of_the_app_makes_another_image_and_only_one_new_layer(host, tmp_path):
    only(host, "images-trixie")
    subprocess.run(("git", "clone", "--quiet", "--no-hardlinks", ROOT, tmp_path), check=True)
    with (tmp_path / "app/aisha/texts.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    (tmp_path / "app/aisha/untracked.py").write_text("raise SystemExit\n")
    before = record(host)
    run = play(limit=name(host), images_source=str(tmp_path))
    assert run.succeeded, run.said
    after = records(host)[0]
    assert after["digest"] != before["digest"]
    assert after["layers"][:2] == before["layers"][:2]
    assert after["layers"][2] != before["layers"][2]
    assert after["uncommitted"]


def test_what_cannot_work_is_refused_before_anything_changes(host):
    only(host, "images-trixie")
    wrong = {
        "images_registry": "https://registry/v2",
        "images_name": "Aisha!",
        "images_registry_password": "short",
        "images_uid": 0,
        "images_min_free_mib": 2**40,
    }
    run = play(limit=name(host), **wrong)
    assert not run.succeeded
    assert set(run.changes) == {0}
    for variable in wrong:
        assert variable in run.said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"images_registry_password": "a-wrong-password-of-16"}, "refuses the user builder"),
        ({"images_registry_ca": "/etc/ssl/certs/ca-certificates.crt"}, "CERTIFICATE_VERIFY_FAILED"),
        ({"images_architecture": "arm64"}, "images_architecture"),
    ],
)
def test_a_registry_or_an_engine_that_will_not_do_is_refused(host, variables, said):
    only(host, "images-trixie")
    run = play(limit=name(host), **variables)
    assert not run.succeeded
    assert set(run.changes) == {0}
    assert said in run.said
