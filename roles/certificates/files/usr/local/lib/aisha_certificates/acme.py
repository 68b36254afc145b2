"""Certificates of an ACME server."""

import os
import socket
from pathlib import Path

from aisha_certificates.certificate import Certificate
from aisha_certificates.commands import CertificateError, run
from aisha_certificates.files import write

ACME = Path("/var/lib/aisha/acme")


def obtain(certificate: Certificate) -> None:
    """Have lego prove that the names are this host's, and install what it gets."""
    acme = certificate.settings["acme"]
    if web_server_answers() and not acme["webroot"]:
        raise CertificateError(
            f"{certificate.name}: port 80 is taken; set certificates_acme_webroot to a folder that its server shows"
        )
    certificate.request()
    ACME.mkdir(mode=0o700, parents=True, exist_ok=True)
    if acme["ca"]:
        write(ACME / "ca.pem", acme["ca"], mode=0o600)
        os.environ["LEGO_CA_CERTIFICATES"] = str(ACME / "ca.pem")
    how = ["--http", f"--http.webroot={acme['webroot']}"] if web_server_answers() else ["--http"]
    where = ["--path", str(ACME), "--server", acme["directory"], "--email", acme["email"], "--accept-tos"]
    run("lego", *where, "--csr", str(certificate.pending / "request.pem"), *how, "run")
    chain = (ACME / "certificates" / f"{certificate.names[0]}.crt").read_text()
    certificate.install_requested(chain, acme["ca"])


def web_server_answers() -> bool:
    """Tell whether something serves HTTP here; until it does, as on a host's first day, lego answers itself."""
    try:
        socket.create_connection(("localhost", 80), timeout=2).close()
    except OSError:
        return False
    return True
