"""Filters of the certificates role: what is wanted of a host's certificates, and what is wrong with it."""

import datetime
import ipaddress
import re
import shlex
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

FOLDER = re.compile(r"[a-z0-9][a-z0-9._-]*")
DNS_NAME = re.compile(
    r"(\*\.)?([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE
)
PROVIDED = ("certificate", "key", "ca")
BEGIN = "-----BEGIN "


def certificates_paths(wanted: list[dict]) -> list[str]:
    """Return the files of the control machine that provided certificates are in."""
    return sorted(
        {each[part] for each in wanted for part in PROVIDED if each.get(part) and BEGIN not in each[part]}
    )


def certificates_wanted(wanted: list[dict], source: str) -> list[dict[str, object]]:
    """Return each certificate with every key, as the host's own program reads it."""
    return [
        {
            "name": each["name"],
            "names": each.get("names") or [],
            "source": each.get("source") or source,
            "group": each.get("group") or "root",
            "units": [] if isinstance(each.get("hook"), str) else each.get("hook") or [],
            "command": shlex.split(each["hook"]) if isinstance(each.get("hook"), str) else [],
        }
        for each in wanted
    ]


def certificates_provided(
    wanted: list[dict], source: str, files: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return the PEM of the certificates that are provided, by name; an authority that ends the chain need not be told."""
    provided = {}
    for each in wanted:
        if (each.get("source") or source) == "provided":
            texts = {part: files.get(each.get(part, ""), each.get(part)) or "" for part in PROVIDED}
            provided[each["name"]] = texts | {"ca": texts["ca"] or last_of_its_own(texts["certificate"])}
    return provided


def last_of_its_own(chain: str) -> str:
    """Return the authority that a chain ends with, if it does."""
    try:
        last = x509.load_pem_x509_certificates(chain.encode())[-1]
    except ValueError:
        return ""
    return last.public_bytes(serialization.Encoding.PEM).decode() if last.issuer == last.subject else ""


def certificates_problems(
    wanted: list[dict], settings: dict, provided: dict[str, dict[str, str]]
) -> list[dict[str, object]]:
    """Return what is wrong with the variables, as the module preflight takes it."""
    certificates = certificates_wanted(wanted, settings["source"])
    found = [
        *list_problems(certificates),
        *authority_problems(certificates, settings),
        *acme_problems(certificates, settings),
    ]
    for each in certificates:
        if each["source"] == "provided":
            found += [
                f"certificates_list: {each['name']}: {what}"
                for what in provided_problems(each, provided[str(each["name"])])
            ]
    return [{"that": False, "problem": problem} for problem in found]


def list_problems(certificates: list[dict]) -> Iterator[str]:
    """Tell what no source could make a certificate of."""
    names = [each["name"] for each in certificates]
    for each in certificates:
        where = f"certificates_list: {each['name']}"
        if not FOLDER.fullmatch(each["name"]):
            yield f"{where}: name is a folder's; make it of lower case letters, digits, dots, dashes and underscores"
        if names.count(each["name"]) > 1:
            yield f"{where} is there twice; give each certificate a name of its own"
        if not each["names"] and each["source"] != "provided":
            yield f"{where}: names is empty; list the DNS names and addresses that clients use"
        for name in each["names"]:
            if not is_address(name) and not DNS_NAME.fullmatch(name):
                yield f"{where}: {name!r} in names is neither a DNS name nor an address; mend it"


def authority_problems(certificates: list[dict], settings: dict) -> Iterator[str]:
    """Tell what is wrong with the authority of one's own."""
    if settings["renew_before_days"] >= settings["days"]:
        yield "certificates_renew_before_days must be less than certificates_days, or every run would renew"
    if settings["ca_storage"] != "vault" or not (
        settings["trust_ca"] or any(each["source"] == "selfsigned" for each in certificates)
    ):
        return
    try:
        authority = x509.load_pem_x509_certificate(settings["ca_certificate"].encode())
        key = serialization.load_pem_private_key(settings["ca_key"].encode(), password=None)
    except (ValueError, TypeError):
        yield (
            "certificates_ca_storage is vault, so certificates_ca_certificate and certificates_ca_key must be PEM, the key"
            " without a password; fill vault_certificates_ca_certificate and vault_certificates_ca_key"
        )
        return
    if authority.public_key() != key.public_key():
        yield "certificates_ca_key is not the key of certificates_ca_certificate; set the two that were made together"
    if not is_authority(authority):
        yield "certificates_ca_certificate may not sign others (CA:TRUE is missing); make one as the role's README shows"
    if days_left(authority) < settings["days"]:
        yield f"certificates_ca_certificate ends in {days_left(authority)} days, before a new certificate would; make another"


def acme_problems(certificates: list[dict], settings: dict) -> Iterator[str]:
    """Tell what an ACME server would refuse."""
    asked = [each for each in certificates if each["source"] == "acme"]
    if asked and not settings["acme_accept_terms"]:
        yield f"certificates_acme_accept_terms is false; read the terms of {settings['acme_directory']} and set it to true"
    if asked and "@" not in settings["acme_email"]:
        yield "certificates_acme_email is not an address; set one that the authority may write to"
    for each in asked:
        if wrong := [name for name in each["names"] if "*" in name or is_address(name)]:
            yield f"certificates_list: {each['name']}: HTTP-01 proves no wildcards and no addresses ({', '.join(wrong)}); take another source"


def provided_problems(wanted: dict, given: dict[str, str]) -> Iterator[str]:
    """Tell why a provided certificate cannot be used."""
    leaf, key = leaf_of(given["certificate"]), key_of(given["key"])
    if leaf is None:
        yield "certificate is no PEM; set it to a file with the certificate and its chain, or to its text"
    if key is None:
        yield "key is no PEM, or has a password; set it to the certificate's key, without a password"
    if given["ca"] and leaf_of(given["ca"]) is None:
        yield "ca is no PEM; set it to the authority's certificate, or leave it out"
    if leaf is None:
        return
    if key and leaf.public_key() != key.public_key():
        yield "key is not the certificate's; set the two that were made together"
    if days_left(leaf) < 0:
        yield f"certificate has ended on {leaf.not_valid_after_utc:%Y-%m-%d}; provide another"
    if leaf.not_valid_before_utc > datetime.datetime.now(datetime.UTC):
        yield f"certificate begins on {leaf.not_valid_before_utc:%Y-%m-%d} only; provide one that is valid"
    if missing := [name for name in wanted["names"] if not covers(leaf, name)]:
        yield f"certificate is not for {', '.join(missing)}; provide one that is, or take them from names"


def leaf_of(pem: str) -> x509.Certificate | None:
    """Return the first certificate of a chain; nothing when the text is something else."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except ValueError:
        return None


def key_of(pem: str) -> PrivateKeyTypes | None:
    """Return a key; nothing when the text is something else, or needs a password."""
    try:
        return serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return None


def covers(leaf: x509.Certificate, name: str) -> bool:
    """Tell whether a client that asks for the name accepts the certificate; a wildcard stands for one label."""
    try:
        subjects = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if is_address(name):
        return ipaddress.ip_address(name) in subjects.get_values_for_type(x509.IPAddress)
    known = {each.lower() for each in subjects.get_values_for_type(x509.DNSName)}
    return name.lower() in known or f"*.{name.lower().partition('.')[2]}" in known


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether it may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def days_left(certificate: x509.Certificate) -> int:
    """Return for how many whole days it is still valid; less than none when it has ended."""
    return (certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)).days


def is_address(name: str) -> bool:
    """Tell an IP address from a DNS name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "certificates_paths": certificates_paths,
            "certificates_problems": certificates_problems,
            "certificates_provided": certificates_provided,
            "certificates_wanted": certificates_wanted,
        }
