"""What the role registry asks of its addresses, its certificates and its file of users."""

import importlib.util
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PLUGINS = Path(__file__).parents[3] / "ansible" / "plugins"
NAMES = {"certificate": "my_certificate", "key": "my_key", "ca": "my_ca", "name": "my_name"}


def load(path: str) -> Any:
    spec = importlib.util.spec_from_file_location(Path(path).stem, PLUGINS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


addresses = load("test/addresses.py")
checks = load("modules/certificate_check.py")
users = load("filter/registry.py")


@pytest.mark.parametrize(
    "address", ["10.0.0.3", "127.0.0.1", "fd00::1", "[::1]", "registry", "a.internal", "a.LAN."]
)
def test_addresses_of_a_private_network(address: str) -> None:
    assert addresses.private_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "registry.example.org", "x.notlan"])
def test_addresses_that_look_public(address: str) -> None:
    assert not addresses.private_address(address)


class Pair:
    """A key and a certificate on disk."""

    def __init__(self, folder: Path, name: str, *, issuer: "Pair | None" = None, days: int = 10) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        start = datetime.now(UTC) - timedelta(days=20)
        builder = x509.CertificateBuilder().subject_name(self.name).issuer_name((issuer or self).name)
        builder = builder.public_key(self.key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=20 + days))
        builder = builder.add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True
        )
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        certificate = builder.sign((issuer or self).key, hashes.SHA256())
        self.files = (str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
        Path(self.files[0]).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        Path(self.files[1]).write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def problem(certificate: str, key: str, ca: str | None, name: str | None) -> str:
    """Return what the check says; an empty string when it accepts."""
    try:
        checks.check({"certificate": certificate, "key": key, "ca": ca, "name": name}, NAMES)
    except checks.CertificateError as told:
        return str(told)
    return ""


def test_a_certificate_is_accepted_or_refused_with_the_variable(tmp_path: Path) -> None:
    authority, stranger = Pair(tmp_path, "authority"), Pair(tmp_path, "stranger")
    good, old = Pair(tmp_path, "good", issuer=authority), Pair(tmp_path, "old", issuer=authority, days=-1)
    ca = authority.files[0]
    assert problem(*good.files, ca, "good") == ""
    assert problem(*good.files, None, "good") == ""
    assert problem(*good.files, None, None) == ""
    assert problem(good.files[0], old.files[1], ca, "good").startswith("my_key: ")
    assert "has expired" in problem(*old.files, ca, "old")
    assert "has expired" in problem(*old.files, None, "old")
    assert "not valid for other, of my_name" in problem(*good.files, ca, "other")
    assert "not accepted by who trusts" in problem(*good.files, stranger.files[0], "good")
    assert "my_ca: " in problem(*good.files, good.files[1], "good")
    assert "cannot be read" in problem(good.files[1], good.files[1], ca, "good")


USERS = [{"name": "ci", "password": "a-password"}, {"name": "hosts", "password": "a-password"}]


def test_each_user_s_hash_is_that_of_the_password() -> None:
    lines = [line.partition(":") for line in users.htpasswd(USERS, "secret").splitlines()]
    assert [name for name, _, _ in lines] == ["ci", "hosts"]
    assert all(bcrypt.checkpw(b"a-password", hashed.encode()) for _, _, hashed in lines)
    assert all(hashed.startswith("$2b$08$") for _, _, hashed in lines)


def test_a_user_whose_password_stays_keeps_the_hash() -> None:
    before = users.htpasswd(USERS, "secret").splitlines()
    after = users.htpasswd([USERS[0], USERS[1] | {"password": "another"}], "secret").splitlines()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_equal_passwords_have_different_hashes() -> None:
    hashes = [line.partition(":")[2] for line in users.htpasswd(USERS, "secret").splitlines()]
    hashes += [line.partition(":")[2] for line in users.htpasswd(USERS, "other").splitlines()]
    assert len({each[:29] for each in hashes}) == len(set(hashes)) == 4


@pytest.mark.parametrize("slips_in", [False, True])
def test_writes_are_held_off_unless_one_slips_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slips_in: bool
) -> None:
    collection = load("../../roles/registry/files/usr/local/sbin/registry_gc.py")
    activity = tmp_path / "activity"
    activity.touch()
    monkeypatch.setattr(collection, "FROZEN", tmp_path / "frozen")
    monkeypatch.setattr(collection.time, "sleep", lambda _: slips_in and os.utime(activity, (1, 1)))
    proxy = collection.Proxy(tmp_path)
    assert proxy.freeze() is not slips_in
    assert (tmp_path / "frozen").exists() is not slips_in
