#!/usr/bin/python
"""Sign certificates with our own CA."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Sign certificates with our own CA
description:
  - The CA is passed in, or kept in a folder of the host that this runs on and created there once.
  - Only the public key of a request is used. The names to certify come from the caller, never from the request.
options:
  folder: {description: 'Where key.pem and certificate.pem are, or are created.', type: path}
  key: {description: 'The CA''s key (PEM), if there is no folder.', type: str}
  certificate: {description: 'The CA''s certificate (PEM), first; any after it are ignored.', type: str}
  name: {description: The common name of a new CA., type: str, default: Aisha authority}
  authority_days: {description: Days for which a new CA is valid., type: int, default: 3650}
  days: {description: Days for which certificates are valid., type: int, default: 90}
  requests: {description: 'Signing requests (PEM) by name.', type: dict, default: {}}
  names: {description: 'DNS names and addresses to certify, by the same names.', type: dict, default: {}}
author: [Aisha]
requirements: [cryptography]
"""
EXAMPLES = r"""
- name: Sign
  certificate_authority:
    folder: /etc/aisha/authority
    requests: {web: "{{ request }}"}
    names: {web: [www.example.org]}
"""
RETURN = r"""
certificate:
  description: The CA's certificate (PEM).
  type: str
  returned: always
certificates:
  description: The signed certificates (PEM) by name.
  type: dict
  returned: always
"""

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.files import write
from ansible.module_utils.locks import locked

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    x509 = None  # type: ignore[assignment]

CLOCK_SKEW = datetime.timedelta(minutes=5)
LONGEST_COMMON_NAME = 64
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def now() -> datetime.datetime:
    """Return the time as a naive UTC datetime, which old and new versions of cryptography accept."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)


def usage(*allowed: str) -> x509.KeyUsage:
    """Return a key usage extension."""
    return x509.KeyUsage(**{name: name in allowed for name in USAGES})


def general_name(name: str) -> x509.GeneralName:
    """Return an IP address or a DNS name as a subject alternative name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.lower())


def text(certificate: x509.Certificate) -> str:
    """Return PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def secret_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def spki(holder: Any) -> bytes:
    """Return the public key of a key or a certificate as bytes: old versions of cryptography cannot compare keys."""
    key: bytes = holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key


class Authority:
    """A CA: its key and certificate."""

    def __init__(self, key: str, certificate: str) -> None:
        self.key: Any = serialization.load_pem_private_key(key.encode(), password=None)
        self.text = certificate
        self.certificate = x509.load_pem_x509_certificate(certificate.encode())
        if spki(self.certificate) != spki(self.key):
            raise ValueError("its key does not match its certificate")

    @property
    def digest(self) -> hashes.SHA256 | None:
        """The hash for its signatures; Ed25519 and Ed448 keys need none."""
        return (
            None
            if isinstance(self.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
            else hashes.SHA256()
        )

    @classmethod
    def made(cls, name: str, days: int) -> Authority:
        """Create a CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = x509.CertificateBuilder(
            issuer_name=subject,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now() - CLOCK_SKEW,
            not_valid_after=now() + datetime.timedelta(days=days),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage("key_cert_sign", "crl_sign"), critical=True)
        certificate = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
        return cls(secret_text(key), text(certificate))

    @property
    def ends(self) -> datetime.datetime:
        """When it expires, in UTC; newer versions of cryptography renamed the attribute."""
        if hasattr(self.certificate, "not_valid_after_utc"):
            return self.certificate.not_valid_after_utc.replace(tzinfo=None)
        return self.certificate.not_valid_after

    def sign(self, request: str, names: list[str], days: int) -> str:
        """Return a certificate for the names and the request's public key."""
        asked = x509.load_pem_x509_csr(request.encode())
        if not asked.is_signature_valid:
            raise ValueError("the signature of a request is invalid")
        until = now() + datetime.timedelta(days=days)
        if until > self.ends:
            raise ValueError(f"it expires on {self.ends:%Y-%m-%d}, before a certificate of {days} days would")
        short = (
            [x509.NameAttribute(NameOID.COMMON_NAME, names[0])]
            if len(names[0]) <= LONGEST_COMMON_NAME
            else []
        )
        builder = x509.CertificateBuilder(
            issuer_name=self.certificate.subject,
            subject_name=x509.Name(short),
            public_key=asked.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now() - CLOCK_SKEW,
            not_valid_after=until,
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage("digital_signature"), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(asked.public_key()), critical=False
        )
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([general_name(name) for name in names]), critical=not short
        )
        return text(builder.sign(self.key, self.digest))


def kept(folder: Path, name: str, days: int) -> tuple[Authority, bool]:
    """Return the CA of a folder, and whether it was created now; several hosts may ask at the same time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        new = not (folder / "certificate.pem").exists()
        if new:  # the certificate last: if it exists, so does the key
            made = Authority.made(name, days)
            write(folder / "key.pem", secret_text(made.key), mode=0o600)
            write(folder / "certificate.pem", made.text)
        return Authority((folder / "key.pem").read_text(), (folder / "certificate.pem").read_text()), new


def main() -> None:
    """Sign."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "folder": {"type": "path"},
            "key": {"type": "str", "no_log": True},
            "certificate": {"type": "str"},
            "name": {"type": "str", "default": "Aisha authority"},
            "authority_days": {"type": "int", "default": 3650},
            "days": {"type": "int", "default": 90},
            "requests": {"type": "dict", "default": {}},
            "names": {"type": "dict", "default": {}},
        },
        required_together=[("key", "certificate")],
        required_one_of=[("folder", "key")],
        mutually_exclusive=[("folder", "key")],
    )
    asked = module.params
    if asked["folder"] and module.check_mode and not Path(asked["folder"], "certificate.pem").exists():
        module.exit_json(changed=True, certificate="", certificates={})
    if x509 is None:
        module.fail_json(msg=missing_required_lib("cryptography"))
    new = False
    try:
        if asked["folder"]:
            authority, new = kept(Path(asked["folder"]), asked["name"], asked["authority_days"])
        else:
            authority = Authority(asked["key"], asked["certificate"])
        signed = {
            name: authority.sign(request, asked["names"][name], asked["days"])
            for name, request in asked["requests"].items()
        }
    except ValueError as error:
        module.fail_json(msg=f"The CA {asked['folder'] or 'that was given'} cannot sign: {error}")
    module.exit_json(changed=new or bool(signed), certificate=authority.text, certificates=signed)


if __name__ == "__main__":
    main()
