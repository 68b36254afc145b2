"""Certificates and keys as openssl reads and makes them."""

import ipaddress
import re
import time
from datetime import datetime
from pathlib import Path

from aisha_certificates.commands import CertificateError, run

DAY = 86400
LONGEST_COMMON_NAME = 64


class Leaf:
    """A certificate that is installed."""

    def __init__(self, path: Path) -> None:
        wanted = ("-noout", "-dates", "-dateopt", "iso_8601", "-ext", "subjectAltName")
        text = run("openssl", "x509", "-in", str(path), *wanted)
        dates = dict(re.findall(r"(notBefore|notAfter)=(\S+ \S+)", text))
        self.begins, self.ends = (
            datetime.fromisoformat(dates[key]).timestamp() for key in ("notBefore", "notAfter")
        )
        self.names = {normal(name) for name in re.findall(r"(?:DNS|IP Address):([^,\s]+)", text)}

    def covers(self, name: str) -> bool:
        """Tell whether a client that asks for the name accepts it; a wildcard stands for one label."""
        return normal(name) in self.names or f"*.{normal(name).partition('.')[2]}" in self.names

    @property
    def days_left(self) -> float:
        """For how many days it is still valid."""
        return (self.ends - time.time()) / DAY


def normal(name: str) -> str:
    """Return a DNS name in lower case, an address as the standard library writes it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def is_address(name: str) -> bool:
    """Tell an IP address from a DNS name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def new_key() -> str:
    """Return a new private key."""
    return run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")


def signing_request(key: Path, names: list[str]) -> str:
    """Return a request for a certificate with the names."""
    subject = f"/CN={names[0]}" if len(names[0]) <= LONGEST_COMMON_NAME else "/"
    asked = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
    more = ("-subj", subject, "-addext", f"subjectAltName={asked}")
    return run("openssl", "req", "-new", "-key", str(key), *more)


def is_pair(certificate: Path, key: Path) -> bool:
    """Tell whether a key is the certificate's."""
    asked = run("openssl", "x509", "-in", str(certificate), "-noout", "-pubkey")
    return asked == run("openssl", "pkey", "-in", str(key), "-pubout")


def verify(authority: str, certificate: Path, stdin: str | None = None) -> None:
    """Have openssl verify a certificate with its chain against an authority and no other."""
    alone = ("-no-CApath", "-no-CAstore", "-CAfile", authority)
    run("openssl", "verify", *alone, "-untrusted", str(certificate), str(certificate), stdin=stdin)


def is_signed_by(signers: str, certificate: Path) -> bool:
    """Tell whether one of the authorities, as PEM, has signed a certificate, or its chain."""
    try:
        verify("/dev/stdin", certificate, stdin=signers)
    except CertificateError:
        return False
    return True
