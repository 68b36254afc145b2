"""The registry as its clients find it: each host has one, and every other host is a client of it."""

import time

import pytest
import testinfra
from plays import play

PUSH, PULL = "ci:push-password-of-ci-8c1", "hosts:pull-password-of-hosts-2e9"
TRUST = "--cert-dir /etc/ssl/test/client"
UNTRUSTED = "--cert-dir /var/empty"
CURL = "curl -s --cacert /etc/ssl/test/ca.pem"
HOSTS = ("registry-bookworm", "registry-trixie")

BREAKAGE = """
printf 'storage: [' > /etc/docker/registry/config.yml
echo 'intruder:x' > /etc/docker/registry/htpasswd
chmod 0600 /etc/docker/registry
echo 'listen nonsense' >> /etc/registry-proxy/nginx.conf
chown -R root:root /var/lib/docker-registry
rm -f /usr/local/sbin/registry-gc
systemctl restart docker-registry registry-proxy
true
"""


class Registry:
    """The registry of one host, seen from another."""

    def __init__(self, name):
        self.host = testinfra.get_host(f"docker://{name}")
        self.client = testinfra.get_host(f"docker://{next(other for other in HOSTS if other != name)}")
        self.name, self.address = name, f"{name}:5000"

    def image(self, name, mib=1):
        """Make an image at the client and return its digest."""
        return self.client.check_output(f"make-image /var/tmp/{name} {mib}")

    def push(self, name, login=PUSH, options=TRUST, scheme="tls"):
        """Copy an image that the client has made to the registry."""
        insecure = "" if scheme == "tls" else "--dest-tls-verify=false"
        options = options.replace("--cert-dir", "--dest-cert-dir")
        to = f"docker://{self.address}/{name}:latest"
        return self.client.run(
            f"skopeo copy -q --preserve-digests {options} {insecure} --dest-creds {login} oci:/var/tmp/{name} {to}"
        )

    def pull(self, name, digest, login=PULL, options=TRUST):
        """Copy an image from the registry to the client, by digest."""
        options = options.replace("--cert-dir", "--src-cert-dir")
        source = f"docker://{self.address}/{name}@{digest}"
        self.client.run("rm -rf /var/tmp/pulled")
        return self.client.run(f"skopeo copy -q {options} --src-creds {login} {source} dir:/var/tmp/pulled")

    def curl(self, path, login=None, options="", scheme="https"):
        """Return status and headers or body of a request that the client makes."""
        user = f"-u {login}" if login else ""
        return self.client.run(f"{CURL} {user} {options} {scheme}://{self.address}{path}").stdout

    def status(self, path, login=None, options="", scheme="https"):
        """Return the status of a request that the client makes."""
        return self.curl(path, login, f"-o /dev/null -w '%{{http_code}}' {options}", scheme)

    def disk(self):
        """Return the bytes that the registry's blobs take."""
        return int(
            self.host.check_output("du -sb /var/lib/docker-registry/docker/registry/v2/blobs").split()[0]
        )

    def is_up(self):
        """Tell whether a user can log in."""
        return self.status("/v2/", PULL) == "200"

    def collect(self):
        """Collect garbage as an operator does."""
        return self.host.run("systemctl start registry-gc")


@pytest.fixture
def registry(host):
    return Registry(host.backend.host)


def test_what_is_pushed_is_pulled_by_digest_from_another_host(registry):
    digest = registry.image("app", mib=20)
    pushed = registry.push("app")
    assert pushed.rc == 0, pushed.stderr
    pulled = registry.pull("app", digest)
    assert pulled.rc == 0, pulled.stderr
    assert digest in f"sha256:{registry.client.check_output('sha256sum /var/tmp/pulled/manifest.json')}"


@pytest.mark.parametrize(
    "login", [None, "hosts:wrong-password", "nobody:at-all", f"HOSTS:{PULL.split(':')[1]}"]
)
def test_who_does_not_log_in_rightly_is_refused(registry, login):
    answer = registry.curl("/v2/", login, "-i")
    assert " 401 " in answer.splitlines()[0]
    assert "docker-distribution-api-version: registry/2.0" in answer.lower()
    assert "www-authenticate: basic" in answer.lower()
    assert registry.status("/v2/_catalog", login) == "401"


@pytest.mark.parametrize("login", [None, "ci:wrong-password", ":", "nobody:at-all"])
def test_who_does_not_log_in_rightly_writes_nothing(registry, login):
    assert registry.status("/v2/app/blobs/uploads/", login, "-X POST") in ("401", "403")
    assert registry.status("/v2/app/manifests/latest", login, "-X DELETE") in ("401", "403")


def test_a_user_who_may_only_pull_does_not_push(registry):
    registry.image("mine")
    pushed = registry.push("mine", login=PULL)
    assert pushed.rc != 0
    assert "denied" in pushed.stderr.lower()
    assert registry.status("/v2/mine/tags/list", PULL) == "404"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "BREW"])
def test_a_user_who_may_only_pull_has_no_way_to_write(registry, method):
    assert registry.status("/v2/app/manifests/latest", PULL, f"-X {method}") in ("400", "403", "405")


def test_https_is_not_spoken_to_who_does_not_trust_the_authority(registry):
    pulled = registry.pull("app", "sha256:" + "0" * 64, options=UNTRUSTED)
    assert "unknown authority" in pulled.stderr


def test_plain_http_is_refused(registry):
    assert registry.status("/v2/", PULL, scheme="http") == "400"


def test_old_tls_is_refused(registry):
    assert registry.status("/v2/", PULL, "--tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0") == "000"
    assert registry.status("/v2/", PULL, "--tls-max 1.2") == "200"


def test_an_upload_is_sent_back_over_https(registry):
    answer = registry.curl("/v2/app/blobs/uploads/", PUSH, "-i -X POST").lower()
    assert f"location: https://{registry.address}/v2/app/blobs/uploads/" in answer


def test_nothing_else_of_the_registry_listens(registry):
    listening = registry.host.check_output("ss -Hltnp")
    assert "docker-registry" not in listening
    assert [line.split()[3] for line in listening.splitlines() if "nginx" in line] == ["0.0.0.0:5000"]
    assert registry.host.run("systemctl is-enabled nginx").stdout.strip() == "disabled"


def test_secrets_are_for_the_registry_alone(registry):
    for path in ("/etc/docker/registry/config.yml", "/etc/docker/registry/htpasswd"):
        file = registry.host.file(path)
        assert (file.mode, file.user, file.group) == (0o640, "root", "docker-registry")
    assert registry.host.run("runuser -u nobody -- ls /run/docker-registry").rc != 0
    assert registry.host.run("runuser -u nobody -- ls /var/lib/registry-proxy").rc != 0


@pytest.mark.parametrize("unit", ["docker-registry", "registry-proxy", "registry-gc"])
def test_units_are_confined(host, unit):
    exposure = host.run(f"systemd-analyze security --threshold=40 {unit}.service")
    assert exposure.rc == 0, exposure.stdout[-300:]


def test_garbage_collection_frees_what_is_deleted_and_keeps_the_rest(registry):
    kept, gone, untagged = registry.image("kept"), registry.image("gone", mib=8), registry.image("moved")
    for name in ("kept", "gone", "moved"):
        assert registry.push(name).rc == 0
    registry.image("moved")
    assert registry.push("moved").rc == 0
    before = registry.disk()
    assert registry.status(f"/v2/gone/manifests/{gone}", PUSH, "-X DELETE") == "202"
    collected = registry.collect()
    assert collected.rc == 0, collected.stderr
    assert before - registry.disk() > 8 * 2**20
    assert registry.pull("kept", kept).rc == 0
    assert registry.pull("moved", untagged).rc == 0
    assert registry.pull("gone", gone).rc != 0
    assert registry.push("gone").rc == 0
    assert registry.pull("gone", gone).rc == 0


def test_garbage_collection_waits_for_a_push_that_is_under_way(registry):
    registry.client.check_output("head -c 8000000 /dev/urandom > /var/tmp/slow")
    blob = registry.client.check_output("sha256sum /var/tmp/slow").split()[0]
    start = registry.curl("/v2/slow/blobs/uploads/", PUSH, "-i -X POST")
    location = next(
        line.split(": ", 1)[1].strip() for line in start.splitlines() if line.lower().startswith("location")
    )
    put = f"{CURL} -u {PUSH} --limit-rate 1M -X PUT -T /var/tmp/slow -w '%{{http_code}}' '{location}&digest=sha256:{blob}'"
    registry.client.run(f'nohup sh -c "{put} > /var/tmp/slow.status" >/dev/null 2>&1 &')
    time.sleep(1)
    began = time.monotonic()
    assert registry.collect().rc == 0
    assert time.monotonic() - began > 5
    assert registry.client.check_output("cat /var/tmp/slow.status") == "201"


def test_nothing_that_was_accepted_is_lost_to_collections_between_pushes(registry, eventually):
    registry.host.run(
        "nohup sh -c 'while [ ! -e /run/enough ]; do systemctl start registry-gc; done' >/dev/null 2>&1 &"
    )
    try:
        pushed = {}
        for number in range(4):
            pushed[f"race{number}"] = registry.image(f"race{number}")
            assert eventually(lambda name=f"race{number}": registry.push(name).rc == 0)
            time.sleep(3.2)  # about as long as the collection waits for
    finally:
        registry.host.run(
            "touch /run/enough; systemctl stop registry-gc; sleep 1; systemctl stop registry-gc; rm /run/enough"
        )
    assert [name for name, digest in pushed.items() if registry.pull(name, digest).rc != 0] == []


def test_writes_are_held_off_while_garbage_is_collected_and_let_in_when_it_is_killed(registry, eventually):
    host = registry.host
    host.check_output("mkdir -p /run/slow /run/systemd/system/registry-gc.service.d")
    host.check_output(
        "printf '#!/bin/sh\\nsleep 60\\n' > /run/slow/docker-registry && chmod +x /run/slow/docker-registry"
    )
    host.check_output(
        "printf '[Service]\\nEnvironment=PATH=/run/slow:/usr/bin:/bin\\n' > /run/systemd/system/registry-gc.service.d/slow.conf"
    )
    host.check_output("systemctl daemon-reload && systemctl start --no-block registry-gc")
    try:
        assert eventually(lambda: host.file("/run/registry-gc/frozen").exists)
        answer = registry.curl("/v2/app/blobs/uploads/", PUSH, "-i -X POST")
        assert " 503 " in answer.splitlines()[0]
        assert "retry-after: " in answer.lower()
        assert registry.status("/v2/app/tags/list", PULL) == "200"
        host.check_output("kill -KILL $(systemctl show --property=MainPID --value registry-gc)")
        assert eventually(lambda: registry.status("/v2/app/blobs/uploads/", PUSH, "-X POST") == "202")
        assert not host.run("pgrep -f '[/]run/slow/docker-registry'").stdout
    finally:
        host.run(
            "systemctl stop registry-gc; rm -r /run/slow /run/systemd/system/registry-gc.service.d; systemctl daemon-reload"
        )
        host.run("systemctl reset-failed registry-gc")


@pytest.mark.parametrize("unit", ["docker-registry", "registry-proxy"])
def test_a_killed_part_comes_back_with_all_images(registry, eventually, unit):
    digest = registry.image("survivor")
    assert registry.push("survivor").rc == 0
    registry.host.check_output(f"systemctl kill --signal=KILL {unit}")
    assert eventually(registry.is_up)
    assert registry.pull("survivor", digest).rc == 0


def test_running_the_role_again_repairs_what_someone_broke(registry):
    digest = registry.image("precious")
    assert registry.push("precious").rc == 0
    registry.host.run(BREAKAGE)
    assert not registry.is_up()
    repaired = play(limit=registry.name)
    assert repaired.succeeded, repaired.said
    assert registry.pull("precious", digest).rc == 0
    assert registry.push("precious").rc == 0
    assert registry.status("/v2/", "intruder:x") == "401"


def test_a_wrong_configuration_leaves_the_registry_as_it_was(registry):
    mistake = play(limit=registry.name, registry_bind=["nonsense"])
    assert not mistake.succeeded
    assert "nonsense" in mistake.said
    assert registry.is_up()


def test_images_survive_the_way_from_plain_http_to_https(registry):
    assert play(limit=registry.name, registry_tls="insecure").succeeded
    digest = registry.image("migrant")
    pushed = registry.push("migrant", scheme="plain")
    assert pushed.rc == 0, pushed.stderr
    assert registry.status("/v2/", PULL, scheme="http") == "200"
    assert play(limit=registry.name).succeeded
    assert registry.status("/v2/", PULL, scheme="http") == "400"
    assert registry.pull("migrant", digest).rc == 0


def test_the_role_refuses_what_could_not_work(registry):
    refusals = play("refuse.yml", limit=registry.name)
    assert f"{registry.name} " in refusals.said
    assert refusals.succeeded, refusals.said


def test_images_survive_a_reboot(registry, reboot, eventually):
    digest = registry.image("traveller")
    assert registry.push("traveller").rc == 0
    reboot()
    assert eventually(registry.is_up)
    assert registry.pull("traveller", digest).rc == 0
    assert registry.host.service("registry-gc.timer").is_running
