"""Certificates as services, their clients and their operator find them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from plays import play

TLS = "/etc/aisha/tls"
CONFIG = "/etc/aisha/certificates.json"
AUTHORITY_HOST = "certificates-bookworm"
RENAMED = {"alpha_names": ["renamed.test"]}

pytestmark = pytest.mark.timeout(1200)  # some run the role, which takes its time on a busy machine


def leaf(host, name):
    """Return a certificate as it is installed."""
    return x509.load_pem_x509_certificate(host.file(f"{TLS}/{name}/certificate.pem").content)


def told(host):
    """Return how often the users of each certificate were notified."""
    return {name: host.run(f"cat /run/{name}").stdout.count("told") for name in ("alpha", "beta", "web")}


def make(*names, days=90, key=None):
    """Return a key and a self-signed certificate; a CA when it has no names."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "Authority of the vault")]
    )
    begins = datetime.now(UTC) - timedelta(days=2)
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number(), begins, begins + timedelta(days=days)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret.decode(), builder.sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    ).decode()


@pytest.fixture(scope="module")
def renamed(host):
    """Give the certificate alpha another name and 20 days, and return what was before."""
    before = {
        "told": told(host),
        "alpha": leaf(host, "alpha"),
        "beta": leaf(host, "beta"),
        "web": leaf(host, "web"),
    }
    done = play(limit=host.backend.host, **RENAMED, certificates_days=20, certificates_renew_before_days=10)
    assert done.succeeded, done.said
    return before


@pytest.mark.parametrize(("name", "group"), [("alpha", "alpha-users"), ("beta", "root"), ("web", "www-data")])
def test_a_key_is_for_root_and_its_group(host, name, group):
    key = host.file(f"{TLS}/{name}/key.pem")
    assert (key.user, key.group, key.mode) == ("root", group, 0o640)
    assert host.run(f"setpriv --reuid=nobody --regid={group} --clear-groups cat {key.path}").rc == 0
    assert host.run(f"setpriv --reuid=nobody --regid=nogroup --clear-groups cat {key.path}").rc != 0


@pytest.mark.parametrize(
    ("name", "asked", "trusted", "accepted"),
    [
        ("alpha", "localhost", f"-CAfile {TLS}/alpha/ca.pem", True),
        ("alpha", "localhost", "-CAfile /etc/ssl/certs/ca-certificates.crt", True),
        ("alpha", "another.test", f"-CAfile {TLS}/alpha/ca.pem", False),
        ("alpha", "localhost", "-CAfile /etc/ssl/test/ca.pem", False),
        ("beta", "provided.test", f"-CAfile {TLS}/beta/ca.pem", True),
        ("beta", "one.apps.test", f"-CAfile {TLS}/beta/ca.pem", True),
        ("beta", "provided.test", f"-CAfile {TLS}/alpha/ca.pem", False),
        ("web", "$(hostname)", f"-CAfile {TLS}/web/ca.pem", True),
        ("web", "$(hostname)", f"-CAfile {TLS}/alpha/ca.pem", False),
    ],
)
def test_a_client_connects_when_it_knows_the_authority_and_the_name_is_right(
    host, name, asked, trusted, accepted
):
    server = f"openssl s_server -accept 4443 -naccept 1 -www -cert_chain {TLS}/{name}/certificate.pem -cert {TLS}/{name}/certificate.pem -key {TLS}/{name}/key.pem"
    client = f"openssl s_client -connect localhost:4443 -verify_return_error -verify_hostname {asked} -no-CApath -no-CAstore {trusted}"
    wait = "until ss -ltn | grep -q :4443; do sleep 0.05; done"
    answer = host.run(f"{server} >/dev/null 2>&1 & {wait}; {client} </dev/null; code=$?; wait; exit $code")
    assert (answer.rc == 0) == accepted, answer.stdout + answer.stderr


def test_certificates_of_the_authority_last_ninety_days(host):
    alpha = leaf(host, "alpha")
    assert timedelta(days=90) < alpha.not_valid_after_utc - alpha.not_valid_before_utc < timedelta(days=91)


def test_the_authority_is_on_one_host_and_for_root_alone(host):
    key = host.file("/etc/aisha/authority/key.pem")
    assert key.exists == (host.backend.host == AUTHORITY_HOST)
    assert not key.exists or (key.user, key.mode) == ("root", 0o600)


def test_keys_that_were_asked_with_are_not_left_behind(host):
    assert host.run(f"find {TLS}/.pending -type f").stdout == ""


def test_monitoring_can_read_when_each_certificate_ends(host):
    figures = host.file("/var/lib/prometheus/node-exporter/aisha-certificates.prom")
    ends = f"{leaf(host, 'beta').not_valid_after_utc.timestamp():.0f}"
    assert (
        f'aisha_certificate_expires_timestamp_seconds{{name="beta",source="provided"}} {ends}\n'
        in figures.content_string
    )
    assert (figures.content_string.count("\n"), figures.mode) == (5, 0o644)


def test_what_does_not_fit_together_is_told(host):
    assert host.run("aisha-certificates check").rc == 0
    path = f"{TLS}/beta/key.pem"
    host.run_test(
        f"cp -p {path} /run/key.pem; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {path}"
    )
    try:
        assert "beta: the key is not the certificate's" in host.run("aisha-certificates check").stderr
    finally:
        host.run_test(f"cp -p /run/key.pem {path}")


def test_the_timer_replaces_what_the_acme_server_issued_through_the_web_server_and_tells_its_users_alone(
    host,
):
    before, serial, alpha = told(host), leaf(host, "web").serial_number, leaf(host, "alpha")
    host.run_test("systemctl start aisha-certificates")
    assert (leaf(host, "web").serial_number, told(host)) == (serial, before)
    host.run_test("systemd-run --unit=webserver python3 -m http.server 80 --directory /srv/webroot")
    host.run_test(
        f'cp {CONFIG} /run/certificates.json; sed -i \'s/"renew_before_days": 30/"renew_before_days": 39.9999/\' {CONFIG}'
    )
    host.run_test("until ss -ltn | grep -q ':80 '; do sleep 0.05; done")
    try:
        done = host.run("systemctl start aisha-certificates")
    finally:
        host.run_test(f"systemctl stop webserver; cp /run/certificates.json {CONFIG}")
    assert done.rc == 0
    assert "GET /.well-known/acme-challenge/" in host.run("journalctl --unit=webserver").stdout
    assert leaf(host, "web").serial_number != serial
    assert leaf(host, "alpha") == alpha
    assert told(host) == before | {"web": before["web"] + 1}


def test_a_hook_that_failed_is_run_again_until_it_succeeds(host):
    before = told(host)
    host.run_test("touch /run/refuse; rm /var/lib/aisha/applied/certificate-alpha")
    failed = host.run("systemctl start aisha-certificates")
    host.run_test("rm /run/refuse")
    assert (failed.rc != 0, told(host)) == (True, before)
    host.run_test("systemctl start aisha-certificates")
    host.run_test("systemctl start aisha-certificates")
    assert told(host) == before | {"alpha": before["alpha"] + 1}


def test_what_cannot_be_used_is_refused_before_anything_changes(host):
    key, good = make("a.test")
    mismatched = {"name": "mismatched", "certificate": good, "key": make("a.test")[0], "names": ["a.test"]}
    expired = {
        "name": "expired",
        "certificate": make("a.test", days=1, key=serialization.load_pem_private_key(key.encode(), None))[1],
        "key": key,
    }
    uncovered = {"name": "uncovered", "certificate": good, "key": key, "names": ["b.test"]}
    done = play(
        limit=host.backend.host,
        certificates_list=[mismatched, expired, uncovered],
        certificates_source="provided",
    )
    assert not done.succeeded
    assert "certificates_list: mismatched: key is not the certificate's" in done.said
    assert "certificates_list: expired: certificate expired on" in done.said
    assert "certificates_list: uncovered: certificate is not for b.test" in done.said
    assert not host.file(f"{TLS}/mismatched").exists
    assert '"mismatched"' not in host.file(CONFIG).content_string
    assert key.splitlines()[1] not in done.said


def test_another_name_makes_another_certificate_and_key_and_tells_its_users_alone(host, renamed):
    now = leaf(host, "alpha")
    assert now.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    ) == ["renamed.test"]
    assert now.public_key() != renamed["alpha"].public_key()
    assert (leaf(host, "beta"), leaf(host, "web")) == (renamed["beta"], renamed["web"])
    assert told(host) == renamed["told"] | {"alpha": renamed["told"]["alpha"] + 1}


def test_the_timer_says_what_only_the_role_can_renew(host, renamed):
    host.run_test("systemctl start aisha-certificates")
    assert "alpha ends in" not in host.run("journalctl --unit=aisha-certificates").stdout
    host.run_test(
        f'cp {CONFIG} /run/certificates.json; sed -i \'s/"renew_before_days": 10/"renew_before_days": 20.5/\' {CONFIG}'
    )
    host.run_test("aisha-certificates renew >/run/said; cp /run/certificates.json " + CONFIG)
    assert "run the role again" in host.file("/run/said").content_string


def test_what_ends_soon_is_replaced_by_the_role(host, renamed):
    before, serial = told(host), leaf(host, "alpha").serial_number
    done = play(limit=host.backend.host, **RENAMED)
    assert done.succeeded, done.said
    assert "alpha: another is needed, it ends in" in done.said
    assert leaf(host, "alpha").serial_number != serial
    assert leaf(host, "alpha").not_valid_after_utc - datetime.now(UTC) > timedelta(days=89)
    assert told(host) == before | {"alpha": before["alpha"] + 1}


def test_an_authority_in_the_vault_takes_over_and_the_one_on_the_host_takes_back(host):
    key, authority = make(days=1000)
    kept = host.file(f"{TLS}/alpha/ca.pem").content_string
    vault = {
        "certificates_ca_storage": "vault",
        "certificates_ca_key": key,
        "certificates_ca_certificate": authority + kept,
    }
    done = play(limit=host.backend.host, **vault)
    assert done.succeeded, done.said
    leaf(host, "alpha").verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    assert key.splitlines()[1] not in host.run("grep -rs PRIVATE -A1 /etc /var/lib /usr/local").stdout
    bundle = host.file("/etc/ssl/certs/ca-certificates.crt").content_string
    assert authority.strip() in bundle
    assert kept.strip() in bundle
    done = play(limit=host.backend.host)
    assert done.succeeded, done.said
    leaf(host, "alpha").verify_directly_issued_by(x509.load_pem_x509_certificate(kept.encode()))
    assert authority.strip() not in host.file("/etc/ssl/certs/ca-certificates.crt").content_string
    assert len(host.run(f"ls {TLS}/.generations/alpha").stdout.split()) == 2
