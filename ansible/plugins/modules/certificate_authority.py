#!/usr/bin/python
"""Sign certificates with an authority of one's own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Sign certificates with an authority of one's own
description:
  - The authority is in a folder of the host that this runs on, where it is made once, or is given.
  - Of a request only the public key is used; the names that are certified are those of the caller, never the request's.
options:
  folder: {description: 'Where key.pem and certificate.pem are, or are made.', type: path}
  key: {description: 'The key (PEM), where there is no folder.', type: str}
  certificate: {description: 'The certificate (PEM) of key, first; others after it are left alone.', type: str}
  name: {description: The common name of an authority that is made., type: str, default: Aisha authority}
  authority_days: {description: Days for which an authority that is made is valid., type: int, default: 3650}
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
  description: The authority's certificate (PEM).
  type: str
  returned: always
certificates:
  description: What was signed (PEM), by name.
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
    """Return the time as old and new versions of cryptography understand it: UTC, without saying so."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)


def usage(*allowed: str) -> x509.KeyUsage:
    """Return what a key may be used for."""
    return x509.KeyUsage(**{name: name in allowed for name in USAGES})


def general_name(name: str) -> x509.GeneralName:
    """Return an address or a DNS name as certificates have it."""
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
    """Return the public key of a key or a certificate as bytes, which, unlike keys, old versions of cryptography can compare."""
    key: bytes = holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key


class Authority:
    """A key and its certificate."""

    def __init__(self, key: str, certificate: str) -> None:
        self.key: Any = serialization.load_pem_private_key(key.encode(), password=None)
        self.text = certificate
        self.certificate = x509.load_pem_x509_certificate(certificate.encode())
        if spki(self.certificate) != spki(self.key):
            raise ValueError("its key is not its certificate's")

    @property
    def digest(self) -> hashes.SHA256 | None:
        """What its signatures are made over; some keys bring their own."""
        return (
            None
            if isinstance(self.key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
            else hashes.SHA256()
        )

    @classmethod
    def made(cls, name: str, days: int) -> Authority:
        """Return a new one."""
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
        """When it ends, in UTC; its attribute has another name in new versions of cryptography."""
        if hasattr(self.certificate, "not_valid_after_utc"):
            return self.certificate.not_valid_after_utc.replace(tzinfo=None)
        return self.certificate.not_valid_after

    def sign(self, request: str, names: list[str], days: int) -> str:
        """Return a certificate for the names and the request's public key."""
        asked = x509.load_pem_x509_csr(request.encode())
        if not asked.is_signature_valid:
            raise ValueError("a request's signature is wrong")
        until = now() + datetime.timedelta(days=days)
        if until > self.ends:
            raise ValueError(f"it ends on {self.ends:%Y-%m-%d}, before a certificate of {days} days would")
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
    """Return the authority of a folder, and whether it was made now; several hosts may ask at once."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        new = not (folder / "certificate.pem").exists()
        if new:  # the certificate last: where it is, its key is
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
        module.fail_json(msg=f"The authority {asked['folder'] or 'that was given'} cannot sign: {error}")
    module.exit_json(changed=new or bool(signed), certificate=authority.text, certificates=signed)


if __name__ == "__main__":
    main()
