"""All certificates of this host."""

import re
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

from aisha_certificates.acme import obtain
from aisha_certificates.certificate import TLS, Certificate
from aisha_certificates.commands import CertificateError
from aisha_certificates.files import write
from aisha_certificates.openssl import Leaf
from aisha_certificates.trust import is_trusted, trust

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
METRIC = "aisha_certificate_expires_timestamp_seconds"
FIXES = {
    "selfsigned": "run the role again",
    "provided": "provide another",
    "acme": "see why it is not renewed",
}


class Host:
    """What is due on this host, what was done about it, and what failed."""

    def __init__(self, settings: dict[str, Any], *, dry_run: bool) -> None:
        self.settings, self.dry_run = settings, dry_run
        self.certificates = [Certificate(wanted, settings) for wanted in settings["certificates"]]
        self.actions: list[str] = []
        self.failed: list[str] = []

    def apply(self, told: dict[str, Any]) -> dict[str, str]:
        """Do what is due, and return requests for what the authority must sign first."""
        if not self.dry_run:
            TLS.mkdir(parents=True, exist_ok=True)
            TLS.parent.chmod(TLS.parent.stat().st_mode | 0o011)  # users of keys go through it
        authorities = PEM.findall(told["authority"]) if told["trust"] else []
        if not is_trusted(authorities):
            self.act("the system trusts the authority", trust, authorities)
        requests: dict[str, str] = {}
        for certificate in self.certificates:
            try:
                if certificate.source == "provided":
                    self.apply_provided(certificate, told["provided"][certificate.name])
                elif certificate.source == "acme":
                    self.apply_acme(certificate)
                else:
                    self.apply_selfsigned(certificate, told, requests)
            except CertificateError as problem:
                self.failed.append(str(problem))
        self.run_hooks(but=requests)
        return requests

    def apply_provided(self, certificate: Certificate, given: dict[str, str]) -> None:
        """Install what the control machine has given."""
        texts = {"certificate.pem": given["certificate"], "key.pem": given["key"]}
        texts["origin"] = f"{certificate.origin}\n"
        is_installed = all(certificate.read(file) == text for file, text in texts.items())
        if not is_installed or not certificate.is_presented(given["ca"]):
            said = f"{certificate.name}: installed as provided"
            self.act(said, certificate.install, given["certificate"], given["key"], given["ca"])

    def apply_selfsigned(
        self, certificate: Certificate, told: dict[str, Any], requests: dict[str, str]
    ) -> None:
        """Install what the authority has signed; ask for it where it is due."""
        name, authority = certificate.name, told["authority"]
        if name in told["issued"]:
            said = f"{name}: installed as signed"
            self.act(said, certificate.install_requested, told["issued"][name], authority)
        elif reason := certificate.reason("".join(PEM.findall(authority)[:1])):
            said = f"{name}: another is needed, {reason}"
            self.act(said, lambda: requests.update({name: certificate.request()}))
        else:
            self.present_again(certificate, authority)

    def apply_acme(self, certificate: Certificate) -> None:
        """Ask the ACME server for what is due."""
        if reason := certificate.reason(self.settings["acme"]["ca"]):
            self.act(f"{certificate.name}: another was asked for, {reason}", obtain, certificate)
        else:
            self.present_again(certificate, self.settings["acme"]["ca"])

    def present_again(self, certificate: Certificate, ca: str) -> None:
        """Install the same pair where the authority beside it, or who may read it, has changed."""
        if not certificate.is_presented(ca):
            present = certificate.read("certificate.pem"), certificate.read("key.pem")
            said = f"{certificate.name}: installed again, with its authority and for its group"
            self.act(said, certificate.install, *present, ca)

    def renew(self) -> None:
        """Do what needs nobody: ACME, and hooks that are owed."""
        for certificate in self.certificates:
            try:
                if certificate.source == "acme":
                    self.apply_acme(certificate)
            except CertificateError as problem:
                self.failed.append(str(problem))
        self.run_hooks(but=())

    def run_hooks(self, but: Container[str]) -> None:
        """Tell the users of certificates that changed, and of no others; then write the figures."""
        for certificate in (each for each in self.certificates if each.name not in but and each.owes_hook()):
            try:
                self.act(f"{certificate.name}: its users were told", certificate.run_hook)
            except CertificateError as problem:
                self.failed.append(
                    f"{certificate.name}: its hook failed, and is run again the next time: {problem}"
                )
        if not self.dry_run:
            self.write_metrics()

    def act(self, what: str, do: Callable[..., object], *arguments: object) -> None:
        """Do it and remember that it was done; in a dry run only the latter."""
        if not self.dry_run:
            do(*arguments)
        self.actions.append(what)

    def write_metrics(self) -> None:
        """Write when each certificate ends, for the node exporter, where there is one."""
        folder = Path(self.settings["metrics_folder"] or "/nonexistent")
        if not folder.is_dir():
            return
        lines = [f"# HELP {METRIC} When a certificate of this host ends.", f"# TYPE {METRIC} gauge"]
        lines += [
            f'{METRIC}{{name="{each.name}",source="{each.source}"}} {leaf.ends:.0f}'
            for each, leaf in self.installed()
        ]
        write(folder / "aisha-certificates.prom", "".join(f"{line}\n" for line in lines))

    def warnings(self) -> list[str]:
        """Return what ends soon and what this host cannot renew itself."""
        return [
            f"{each.name} ends in {leaf.days_left:.1f} days: {FIXES[each.source]}"
            for each, leaf in self.installed()
            if each.is_due(leaf)
        ]

    def installed(self) -> list[tuple[Certificate, Leaf]]:
        """Return the certificates that there are, each as openssl reads it."""
        return [(each, leaf) for each in self.certificates if (leaf := each.leaf)]

    def problems(self) -> list[str]:
        """Return what is wrong with what is installed."""
        found = []
        for certificate in self.certificates:
            try:
                problem = certificate.problem()
            except CertificateError as error:
                problem = str(error)
            found += [f"{certificate.name}: {problem}"] if problem else []
        return found
