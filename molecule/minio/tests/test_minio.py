"""MinIO as its users find it; bookworm has one drive, trixie an erasure set of four."""

import json
import os
import re
import runpy
from pathlib import Path

import pytest
import urllib3
from minio import MinioAdmin, S3Error
from minio.credentials import StaticProvider
from objects import PASSWORDS, SET, SINGLE, address, client, get, pool, put, read_or_none
from plays import play

ROOT = Path(__file__).parents[3]
minio_metrics_token = runpy.run_path(str(ROOT / "ansible/plugins/filter/minio.py"))["minio_metrics_token"]


def admin(host, user):
    """Return the admin API as a user sees it."""
    keys = StaticProvider(user, PASSWORDS[user])
    return MinioAdmin(
        endpoint=address(host.backend.host), credentials=keys, http_client=pool(host), region="us-east-1"
    )


def refused(act, *arguments):
    """Return the code with which S3 refuses."""
    with pytest.raises(S3Error) as caught:
        act(*arguments)
    return caught.value.code


def metrics(host, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"https://{address(host.backend.host)}/minio/v2/metrics/cluster"
    return pool(host).request("GET", url, headers=headers)


def test_the_app_writes_reads_lists_and_deletes_in_its_bucket(host):
    app = client(host, "app")
    assert app.bucket_exists("aisha")
    put(app, "recordings/a voice+1.ogg", b"x" * 6 * 2**20)
    assert get(app, "recordings/a voice+1.ogg") == b"x" * 6 * 2**20
    assert [each.object_name for each in app.list_objects("aisha", "recordings/a")] == [
        "recordings/a voice+1.ogg"
    ]
    app.remove_object("aisha", "recordings/a voice+1.ogg")
    assert not list(app.list_objects("aisha", "recordings/a"))


def test_the_app_touches_no_other_bucket(host):
    put(client(host, "keeper"), "daily/dump", bucket="backups")
    app = client(host, "app")
    assert refused(get, app, "daily/dump", "backups") == "AccessDenied"
    assert refused(put, app, "daily/dump", b"", "backups") == "AccessDenied"
    assert refused(app.remove_object, "backups", "daily/dump") == "AccessDenied"
    assert refused(list, app.list_objects("backups")) == "AccessDenied"
    assert [bucket.name for bucket in app.list_buckets()] == ["aisha"]


def test_the_app_changes_nothing_about_buckets(host):
    app = client(host, "app")
    assert refused(app.make_bucket, "another") == "AccessDenied"
    assert refused(app.remove_bucket, "aisha") == "AccessDenied"
    assert refused(app.delete_bucket_lifecycle, "aisha") == "AccessDenied"
    assert refused(app.set_bucket_policy, "aisha", "{}") == "AccessDenied"


@pytest.mark.parametrize("user", ["app", "exporter", "keeper"])
def test_only_root_administers(host, user):
    with pytest.raises(Exception, match="AccessDenied"):
        admin(host, user).user_list()
    with pytest.raises(Exception, match="AccessDenied"):
        admin(host, user).info()
    assert set(json.loads(admin(host, "root").user_list())) == set(PASSWORDS) - {"root"}


def test_a_reader_reads_and_does_not_write(host):
    put(client(host, "app"), "recordings/heard")
    auditor = client(host, "auditor")
    assert get(auditor, "recordings/heard") == b"hello"
    assert refused(put, auditor, "recordings/forged") == "AccessDenied"


@pytest.mark.parametrize("path", ["/aisha", "/aisha/recordings/heard", "/", "/minio/admin/v3/info"])
def test_a_stranger_is_refused(host, path):
    assert pool(host).request("GET", f"https://{address(host.backend.host)}{path}").status == 403


@pytest.mark.parametrize(
    ("user", "password"),
    [("app", "a-wrong-password-1"), ("root", "minioadmin"), ("minioadmin", "minioadmin")],
)
def test_a_wrong_password_is_refused(host, user, password):
    assert refused(get, client(host, user, password), "x") in ("SignatureDoesNotMatch", "InvalidAccessKeyId")


def test_old_recordings_are_deleted(host):
    found = client(host, "root").get_bucket_lifecycle("aisha").rules
    assert {(rule.rule_filter.prefix, rule.expiration.days, rule.status) for rule in found} == {
        ("recordings/", 30, "Enabled"),
        ("segments/", 7, "Enabled"),
    }
    assert client(host, "root").get_bucket_lifecycle("backups") is None


def test_a_bucket_takes_no_more_than_its_quota(host):
    assert json.loads(admin(host, "root").bucket_quota_get("aisha"))["size"] == 64 * 2**20


def test_tls_is_spoken_to_who_trusts_the_authority(host):
    url = f"https://{address(host.backend.host)}/minio/health/live"
    assert pool(host).request("GET", url).status == 200
    with pytest.raises(urllib3.exceptions.SSLError, match="certificate verify failed"):
        pool(host, "/etc/ssl/certs/ca-certificates.crt").request("GET", url)
    assert urllib3.request("GET", url.replace("https", "http"), retries=False).status == 400


def test_the_exporter_reads_figures_but_no_data(host):
    text = metrics(host, minio_metrics_token("exporter", PASSWORDS["exporter"])).data.decode()
    assert re.search(r"^minio_cluster_drive_online_total.* [14]$", text, re.MULTILINE)
    assert refused(get, client(host, "exporter"), "recordings/heard") == "AccessDenied"


def test_others_read_no_figures(host):
    assert metrics(host).status == 403
    assert metrics(host, minio_metrics_token("exporter", "a-wrong-password-1")).status == 403
    assert metrics(host, minio_metrics_token("app", PASSWORDS["app"])).status == 403


def test_the_binary_is_the_builder_s(host):
    built = ROOT.glob(".cache/minio/*-amd64/minio.sha256")
    assert host.file("/usr/local/bin/minio").sha256sum in [path.read_text().split()[0] for path in built]


def test_the_root_password_is_nobody_s_to_read(host):
    for path in ("/etc/minio/root", "/etc/minio/environment", "/run/minio/private.key"):
        assert (
            host.file(path).mode
            == {"root": 0o600, "environment": 0o644, "private.key": 0o640}[Path(path).name]
        )
    assert PASSWORDS["root"] not in host.check_output(
        "ps -ww -e -o args; cat /etc/minio/environment; systemctl show minio"
    )
    assert host.file("/run/minio/private.key").group == "minio"


def test_the_server_is_sandboxed(host):
    told = host.run("systemd-analyze security --no-pager minio").stdout
    assert float(re.search(r"exposure level for minio.service: ([\d.]+)", told)[1]) <= 2.0
    assert host.process.get(comm="minio").user == "minio"
    status = host.check_output("cat /proc/$(systemctl show --property=MainPID --value minio)/status")
    for line in (r"CapBnd:\s0+$", r"CapEff:\s0+$", r"NoNewPrivs:\s1$", r"Seccomp:\s2$"):
        assert re.search(line, status, re.MULTILINE)


def test_the_console_is_off(host):
    listening = {line.split()[3] for line in host.check_output("ss -Hltnp").splitlines() if '"minio"' in line}
    assert {address.rpartition(":")[2] for address in listening} == {"9000"}


def test_a_renewed_certificate_is_served_without_a_restart(host, eventually):
    before = host.check_output("systemctl show --property=MainPID --value minio")
    serial = "echo | openssl s_client -connect 127.0.0.1:9000 2>/dev/null | openssl x509 -noout -serial"
    old = host.check_output(serial)
    host.run_test("cp -a /etc/ssl/test /root/before")
    host.run_test(
        "cd /etc/ssl/test && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=renewed -days 2"
        " -keyout key.pem -out certificate.pem && chmod 600 key.pem && systemctl reload minio"
    )
    try:
        assert eventually(lambda: host.check_output(serial) != old)
        assert host.check_output("systemctl show --property=MainPID --value minio") == before
    finally:
        host.run_test("cp -a /root/before/. /etc/ssl/test && systemctl reload minio && rm -r /root/before")
    assert eventually(lambda: host.check_output(serial) == old)


def test_what_cannot_work_is_refused_before_anything_changes(host):
    if host.backend.host != SINGLE:
        pytest.skip("once is enough")
    wrong = {
        "minio_app_password": "short",
        "minio_root_password": "minioadmin-minioadmin",
        "minio_exporter_password": "aaaaaaaaaaaaaaaaaaaaaaaa",
        "minio_volumes": ["/srv/one", "/srv/two"],
        "minio_port": 22,
        "minio_console_port": 22,
        "minio_tls_key": "",
        "minio_min_free_mib": 2**40,
    }
    done = play(limit=SINGLE, **wrong)
    assert not done.succeeded
    assert set(done.changes) == {0}
    for name in wrong:
        assert name in done.said


def test_data_survive_a_kill(host, eventually):
    put(client(host, "app"), "recordings/survivor", b"yes")
    host.run_test("pkill -KILL -x minio")
    assert eventually(lambda: read_or_none(host, "recordings/survivor") == b"yes")


def test_data_survive_a_reboot(host, reboot, eventually):
    put(client(host, "app"), "recordings/traveller", b"yes")
    reboot()
    assert eventually(lambda: read_or_none(host, "recordings/traveller") == b"yes")


def test_a_set_works_on_without_a_drive_and_heals(host, eventually):
    if host.backend.host != SET:
        pytest.skip("one drive cannot be lost")
    app, data = client(host, "app"), os.urandom(2**20)
    put(app, "recordings/before", data)
    host.run_test("find /srv/drive2 -mindepth 1 -delete")
    assert get(app, "recordings/before") == data
    put(app, "recordings/during", data)
    assert get(app, "recordings/during") == data
    healed = ("before", "during")
    assert eventually(
        lambda: all(host.file(f"/srv/drive2/aisha/recordings/{key}/xl.meta").exists for key in healed)
    )
    host.run_test("find /srv/drive3 /srv/drive4 -mindepth 1 -path '*/recordings/before*' -delete")
    assert get(app, "recordings/before") == data
