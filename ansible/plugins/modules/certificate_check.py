#!/usr/bin/python
"""Refuse certificate files that a service could not serve with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_check
short_description: Refuse certificate files that a service could not serve with
description:
  - Checks that the key belongs to the certificate, that it is valid today and for a name, and that clients who trust the
    authority accept it, by letting a client and a server shake hands in memory.
  - Never changes anything. In check mode files that are missing are no problem, another role may be about to make them.
options:
  certificate: {description: The certificate with its chain (PEM)., type: path, required: true}
  key: {description: Its key (PEM)., type: path, required: true}
  ca: {description: 'The authority that clients trust (PEM); without it only key, date and name are checked.', type: path}
  name: {description: The name or address that clients connect to., type: str}
  variables:
    description: The variables that these come from, by option.
    type: dict
    default: {}
author: [Aisha]
"""
EXAMPLES = r"""
- name: Check the certificate
  certificate_check:
    certificate: "{{ registry_tls_certificate }}"
    key: "{{ registry_tls_key }}"
    ca: "{{ registry_tls_ca }}"
    name: "{{ registry_address }}"
    variables: {certificate: registry_tls_certificate, key: registry_tls_key, ca: registry_tls_ca, name: registry_address}
"""
RETURN = r""" # """

import ssl
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

EXPIRED, NOT_YET_VALID, NAME_DIFFERS, ADDRESS_DIFFERS = 10, 9, 62, 64
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED, _CERT_NOT_YET_VALID, _HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH."""


class CertificateError(Exception):
    """What is wrong with the files."""


def server_context(certificate: str, key: str, names: dict[str, str]) -> ssl.SSLContext:
    """Return a server that uses the files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        if "MISMATCH" in str(error):
            raise CertificateError(
                f"{names['key']}: {key} is not the key of {certificate}, of {names['certificate']}"
            ) from error
        raise CertificateError(
            f"{names['certificate']}, {names['key']}: {certificate} and {key} cannot be read as PEM: {error}"
        ) from error
    return context


def client_context(certificate: str, authority: str | None, names: dict[str, str]) -> ssl.SSLContext:
    """Return a client that trusts the authority; without one, the certificate itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not authority:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(authority or certificate)
    except ssl.SSLError as error:
        raise CertificateError(f"{names['ca']}: {authority} cannot be read as PEM: {error}") from error
    return context


def refusal(error: ssl.SSLCertVerificationError, options: dict, names: dict[str, str]) -> CertificateError:
    """Return what the client has against the certificate, with the variable to change."""
    certificate = f"{names['certificate']}: {options['certificate']}"
    if error.verify_code == EXPIRED:
        return CertificateError(f"{certificate} has expired; renew it")
    if error.verify_code == NOT_YET_VALID:
        return CertificateError(f"{certificate} is not valid yet; look at this host's clock")
    if error.verify_code in (NAME_DIFFERS, ADDRESS_DIFFERS):
        return CertificateError(
            f"{certificate} is not valid for {options['name']}, of {names['name']}; have it made for that name"
        )
    return CertificateError(
        f"{certificate} is not accepted by who trusts {options['ca']}, of {names['ca']}: {error.verify_message}"
    )


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> None:
    """Let the two shake hands in memory; raises ssl.SSLCertVerificationError when the client refuses."""
    client.check_hostname = bool(name)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def check(options: dict, names: dict[str, str]) -> None:
    """Raise the first problem."""
    server = server_context(options["certificate"], options["key"], names)
    client = client_context(options["certificate"], options["ca"], names)
    try:
        shake_hands(server, client, options["name"])
    except ssl.SSLCertVerificationError as error:
        raise refusal(error, options, names) from error


def main() -> None:
    """Check, and fail with the variable and the fix."""
    module = AnsibleModule(
        supports_check_mode=True,
        argument_spec={
            "certificate": {"type": "path", "required": True},
            "key": {"type": "path", "required": True, "no_log": False},
            "ca": {"type": "path"},
            "name": {"type": "str"},
            "variables": {"type": "dict", "default": {}},
        },
    )
    files = {
        option: module.params[option] for option in ("certificate", "key", "ca") if module.params[option]
    }
    names = {option: option for option in ("certificate", "key", "ca", "name")} | module.params["variables"]
    missing = [
        f"{names[option]}: there is no {path}" for option, path in files.items() if not Path(path).is_file()
    ]
    if missing and module.check_mode:
        module.exit_json(changed=False)
    if missing:
        module.fail_json(msg="; ".join(missing))
    try:
        check(module.params, names)
    except CertificateError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
