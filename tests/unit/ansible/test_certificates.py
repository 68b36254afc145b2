"""What the certificates role refuses, and what its authority signs."""

import datetime
import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).parents[3]
DAY = datetime.timedelta(days=1)


def plugin(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"plugin_{Path(path).stem}", ROOT / "ansible/plugins" / path
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


filters = plugin("filter/certificates.py")
authority = plugin("modules/certificate_authority.py")
OWN = authority.Authority.made("An authority", 3650)
SETTINGS = {
    "source": "selfsigned",
    "days": 90,
    "renew_before_days": 30,
    "ca_storage": "vault",
    "ca_key": authority.secret_text(OWN.key),
    "ca_certificate": OWN.text,
    "trust_ca": True,
    "acme_directory": "https://acme.test/directory",
    "acme_email": "operator@example.org",
    "acme_accept_terms": True,
}


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def request(holder: ec.EllipticCurvePrivateKey, name: str = "asked.test") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    asked = x509.CertificateSigningRequestBuilder(subject).sign(holder, hashes.SHA256())
    return asked.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def pair() -> Callable[..., dict[str, str]]:
    def make(*names: str, days: int = 90) -> dict[str, str]:
        holder = key()
        text = OWN.sign(request(holder), list(names), days)
        return {"certificate": text, "key": authority.secret_text(holder)}

    return make


def problems(*wanted: dict[str, object], **settings: object) -> str:
    both = SETTINGS | settings
    provided = filters.certificates_provided(list(wanted), both["source"], {})
    found = filters.certificates_problems(list(wanted), both, provided)
    assert not any(each["that"] for each in found)
    return "; ".join(each["problem"] for each in found)


def test_good_variables_are_not_complained_of(pair: Callable[..., dict[str, str]]) -> None:
    bought = {"name": "bought", "source": "provided", "names": ["a.test", "x.b.test", "10.0.0.1"]}
    assert not problems(
        {"name": "own", "names": ["host", "a.test", "*.b.test", "10.0.0.1", "fd00::1"]},
        {"name": "public", "names": ["a.test"], "source": "acme"},
        bought | pair("a.test", "*.b.test", "10.0.0.1"),
    )


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"name": "../etc", "names": ["a.test"]}, "name is a folder's"),
        ({"name": "a", "names": []}, "certificates_list: a: names is empty"),
        ({"name": "a", "names": ["a b"]}, "neither a DNS name nor an address"),
        ({"name": "a", "names": ["a.test,DNS:b.test"]}, "neither a DNS name nor an address"),
        ({"name": "a", "names": ["*.a.test"], "source": "acme"}, "HTTP-01 proves no wildcards"),
        (
            {"name": "a", "names": ["10.0.0.1"], "source": "acme"},
            "HTTP-01 proves no wildcards and no addresses",
        ),
        ({"name": "a", "source": "provided"}, "certificate is no PEM"),
    ],
)
def test_a_certificate_that_cannot_be_made_is_refused(wanted: dict[str, object], said: str) -> None:
    assert said in problems(wanted)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"renew_before_days": 90}, "certificates_renew_before_days must be less than certificates_days"),
        ({"ca_key": ""}, "fill vault_certificates_ca_certificate and vault_certificates_ca_key"),
        ({"ca_key": authority.secret_text(key())}, "certificates_ca_key is not the key"),
        ({"days": 4000}, "certificates_ca_certificate ends in"),
        ({"source": "acme", "acme_accept_terms": False}, "certificates_acme_accept_terms is false"),
        ({"source": "acme", "acme_email": ""}, "certificates_acme_email is not an address"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, object], said: str) -> None:
    assert said in problems({"name": "a", "names": ["a.test"]}, **settings)


def test_two_of_one_name_are_refused() -> None:
    assert "is there twice" in problems(
        {"name": "a", "names": ["a.test"]}, {"name": "a", "names": ["b.test"]}
    )


def test_a_leaf_is_no_authority(pair: Callable[..., dict[str, str]]) -> None:
    leaf = pair("a.test", days=200)
    assert "may not sign others" in problems(ca_certificate=leaf["certificate"], ca_key=leaf["key"])


def test_what_is_provided_is_looked_at(pair: Callable[..., dict[str, str]]) -> None:
    good = {"name": "bought", "source": "provided", "names": ["a.test"]}
    assert "bought: key is not the certificate's" in problems(
        good | pair("a.test") | {"key": pair("a.test")["key"]}
    )
    assert "bought: certificate has ended on" in problems(good | pair("a.test", days=-1))
    assert "bought: certificate is not for a.test" in problems(good | pair("b.test", "*.a.test"))
    assert "bought: ca is no PEM" in problems(good | pair("a.test") | {"ca": "nonsense"})


def test_files_are_told_from_text() -> None:
    wanted = [{"name": "a", "certificate": "a.pem", "key": "-----BEGIN PRIVATE KEY-----"}, {"name": "b"}]
    assert filters.certificates_paths(wanted) == ["a.pem"]
    wanted[0] |= {"source": "provided"}
    provided = filters.certificates_provided(wanted, "selfsigned", {"a.pem": "text"})
    assert provided == {"a": {"certificate": "text", "key": "-----BEGIN PRIVATE KEY-----", "ca": ""}}


def test_an_authority_that_ends_the_chain_need_not_be_told(pair: Callable[..., dict[str, str]]) -> None:
    leaf = pair("a.test")
    chained = {"name": "a", "source": "provided", **leaf, "certificate": leaf["certificate"] + OWN.text}
    assert filters.certificates_provided([chained], "", {})["a"]["ca"] == OWN.text


def test_a_hook_is_units_or_a_command() -> None:
    hooks = [{"name": "a", "hook": ["a.service"]}, {"name": "b", "hook": "sh -c 'x y'"}, {"name": "c"}]
    found = [(each["units"], each["command"]) for each in filters.certificates_wanted(hooks, "acme")]
    assert found == [(["a.service"], []), ([], ["sh", "-c", "x y"]), ([], [])]


def test_the_names_are_the_callers_and_never_the_requests() -> None:
    holder = key()
    leaf = x509.load_pem_x509_certificate(
        OWN.sign(request(holder, "evil.test"), ["a.test", "10.0.0.1"], 90).encode()
    )
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["a.test", "10.0.0.1"]
    assert leaf.subject.rfc4514_string() == "CN=a.test"
    assert leaf.public_key() == holder.public_key()
    leaf.verify_directly_issued_by(OWN.certificate)


def test_nothing_outlives_the_authority() -> None:
    short = authority.Authority.made("Short", 30)
    with pytest.raises(ValueError, match="before a certificate of 90 days"):
        short.sign(request(key()), ["a.test"], 90)


def test_an_authority_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first, made = authority.kept(tmp_path / "authority", "An authority", 3650)
    again, made_again = authority.kept(tmp_path / "authority", "Another", 3650)
    assert (made, made_again, again.text) == (True, False, first.text)
    assert (tmp_path / "authority" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert first.certificate.subject.rfc4514_string() == "CN=An authority"
    assert first.ends - datetime.datetime.now(datetime.UTC).replace(tzinfo=None) > 3649 * DAY


LIBRARY = ROOT / "roles/certificates/files/usr/local/lib"
NAMES = ["a.test", "10.0.0.1"]


@pytest.fixture
def made_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that starts the program of the hosts, whose certificates are in a folder of the test."""
    if os.getuid() != 0:
        pytest.skip("only root gives files to others")
    monkeypatch.syspath_prepend(str(LIBRARY))
    for module in ("certificate", "host"):
        monkeypatch.setattr(f"aisha_certificates.{module}.TLS", tmp_path / "tls")
    monkeypatch.setattr("aisha_certificates.certificate.APPLIED", tmp_path / "applied")
    monkeypatch.setattr("aisha_certificates.certificate.group_id", lambda name, **_: os.getgid())
    monkeypatch.setattr("aisha_certificates.host.is_trusted", lambda authorities: True)
    wanted = {"name": "own", "source": "selfsigned", "group": "root", "units": [], "names": NAMES}
    wanted["command"] = ["sh", "-c", f"echo told >>{tmp_path}/told; ! test -e {tmp_path}/refuse"]

    def make(*, dry_run: bool = False, **changes: object) -> Any:
        acme = {"directory": "https://acme.test", "ca": ""}
        settings = {
            "certificates": [wanted | changes],
            "renew_before_days": 30,
            "metrics_folder": str(tmp_path),
        }
        return importlib.import_module("aisha_certificates.host").Host(
            settings | {"acme": acme}, dry_run=dry_run
        )

    return make


def signed(host: Any, days: int = 90, names: list[str] = NAMES) -> Any:
    """Have the authority sign what a host asks for, and the host install it."""
    told: dict[str, Any] = {"authority": OWN.text, "trust": True, "issued": {}}
    requests = host.apply(told)
    issued = {name: OWN.sign(text, names, days) for name, text in requests.items()}
    host.apply(told | {"issued": issued})
    return host


def test_a_host_asks_for_what_it_lacks_and_tells_its_users_once(
    made_host: Callable[..., Any], tmp_path: Path
) -> None:
    host = signed(made_host())
    assert (host.failed, host.problems()) == ([], [])
    assert host.actions == [
        "own: another is needed, there is none yet",
        "own: installed as signed",
        "own: its users were told",
    ]
    assert (
        'expires_timestamp_seconds{name="own",source="selfsigned"}'
        in (tmp_path / "aisha-certificates.prom").read_text()
    )
    again = signed(made_host())
    assert (again.actions, again.failed) == ([], [])
    assert (tmp_path / "told").read_text() == "told\n"


def test_a_dry_run_says_what_is_due_and_does_nothing(made_host: Callable[..., Any], tmp_path: Path) -> None:
    host = made_host(dry_run=True)
    assert host.apply({"authority": OWN.text, "trust": True, "issued": {}}) == {}
    assert host.actions == ["own: another is needed, there is none yet"]
    assert not (tmp_path / "tls").exists()


@pytest.mark.parametrize(
    ("changes", "days", "said"),
    [
        ({"names": [*NAMES, "b.test"]}, 90, "not selfsigned for a.test 10.0.0.1 b.test"),
        ({}, 20, "it ends in 20.0 days"),
    ],
)
def test_another_is_asked_for_when_it_is_due(
    made_host: Callable[..., Any], changes: dict[str, Any], days: int, said: str
) -> None:
    signed(made_host(), days)
    assert (made_host().warnings() != []) is (days < 30)
    host = made_host(**changes)
    assert "own" in host.apply({"authority": OWN.text, "trust": True, "issued": {}})
    assert said in host.actions[0]


def test_a_hook_that_failed_is_owed(made_host: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "refuse").touch()
    assert "own: its hook failed, and is run again the next time" in signed(made_host()).failed[0]
    (tmp_path / "refuse").unlink()
    host = made_host()
    host.renew()
    assert (host.actions, host.failed) == (["own: its users were told"], [])


def test_what_does_not_fit_together_is_told(made_host: Callable[..., Any], tmp_path: Path) -> None:
    host = signed(made_host())
    assert made_host(names=["c.test"]).problems() == ["own: it is not for c.test"]
    (tmp_path / "tls" / "own" / "key.pem").write_text(authority.secret_text(key()))
    assert host.problems() == ["own: the key is not the certificate's"]
    assert made_host(name="other").problems() == ["other: there is none"]


def test_every_file_of_the_program_is_installed() -> None:
    listed = yaml.safe_load((ROOT / "roles/certificates/vars/main.yml").read_text())
    paths = [Path(each["path"]).name for each in listed["__certificates_program_files"]]
    assert set(paths[:-1]) == {path.name for path in (LIBRARY / "aisha_certificates").glob("*.py")}
