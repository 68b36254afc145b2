"""One certificate of this host."""

import grp
import os
import shutil
import time
from pathlib import Path
from typing import Any

from aisha_certificates.commands import CertificateError, run
from aisha_certificates.files import link, write
from aisha_certificates.openssl import DAY, Leaf, is_pair, is_signed_by, new_key, signing_request, verify
from aisha_certificates.trust import SYSTEM_BUNDLE, system_authorities

TLS = Path("/etc/aisha/tls")
APPLIED = Path("/var/lib/aisha/applied")
KEPT_GENERATIONS = 2


class Certificate:
    """One certificate, as it shall be and as it is."""

    def __init__(self, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
        self.name, self.source, self.group = str(wanted["name"]), str(wanted["source"]), str(wanted["group"])
        self.names: list[str] = wanted["names"]
        self.units: list[str] = wanted["units"]
        self.command: list[str] = wanted["command"]
        self.settings = settings
        self.folder, self.generations = TLS / self.name, TLS / ".generations" / self.name
        self.pending, self.record = TLS / ".pending" / self.name, APPLIED / f"certificate-{self.name}"

    @property
    def leaf(self) -> Leaf | None:
        """What is installed."""
        path = self.folder / "certificate.pem"
        return Leaf(path) if path.exists() else None

    @property
    def origin(self) -> str:
        """What it shall be: another source, another ACME server or other names need another certificate."""
        if self.source == "provided":
            return self.source
        server = [self.settings["acme"]["directory"]] if self.source == "acme" else []
        return f"{' '.join([self.source, *server])} for {' '.join(self.names)}"

    def read(self, file: str) -> str:
        """Return the text of one of its files; nothing when there is none."""
        path = self.folder / file
        return path.read_text() if path.exists() else ""

    def reason(self, signers: str) -> str | None:
        """Return why another must be issued; it must come from one of the signers where they are known."""
        if not all(self.read(file) for file in ("certificate.pem", "key.pem")):
            return "there is none yet"
        if self.read("origin").strip() != self.origin:
            return f"what there is is {self.read('origin').strip()}, not {self.origin}"
        leaf = Leaf(self.folder / "certificate.pem")
        if self.is_due(leaf):
            return f"it ends in {leaf.days_left:.1f} days"
        if signers and not is_signed_by(signers, self.folder / "certificate.pem"):
            return "another authority has signed it"
        return None

    def is_due(self, leaf: Leaf) -> bool:
        """Tell whether it is time for another.

        Where an ACME server gives less than is asked for, that is in the last third of it.
        """
        given, before = (leaf.ends - leaf.begins) / DAY, float(self.settings["renew_before_days"])
        return leaf.days_left < (given / 3 if self.source == "acme" and given <= before else before)

    def request(self) -> str:
        """Make a key, which never leaves this host, and return a signing request for it."""
        shutil.rmtree(self.pending, ignore_errors=True)
        self.pending.parent.mkdir(mode=0o700, exist_ok=True)
        self.pending.mkdir(mode=0o700)
        write(self.pending / "key.pem", new_key(), mode=0o600)
        asked = signing_request(self.pending / "key.pem", self.names)
        write(self.pending / "request.pem", asked, mode=0o600)
        return asked

    def install_requested(self, certificate: str, ca: str) -> None:
        """Install what was signed upon the last request."""
        if not (self.pending / "key.pem").exists():
            raise CertificateError(f"{self.name}: a certificate came without having been asked for")
        self.install(certificate, (self.pending / "key.pem").read_text(), ca)
        shutil.rmtree(self.pending)

    def install(self, certificate: str, key: str, ca: str) -> None:
        """Have the stable path lead to a new generation, in one step; no `ca` stands for the system's authorities."""
        generation = self.generations / str(time.time_ns())
        generation.mkdir(parents=True)
        write(generation / "certificate.pem", certificate)
        write(generation / "key.pem", key, mode=0o640, owner=(0, group_id(self.group)))
        write(generation / "origin", f"{self.origin}\n")
        if ca:
            write(generation / "ca.pem", ca)
        else:
            (generation / "ca.pem").symlink_to(SYSTEM_BUNDLE)
        if not is_pair(generation / "certificate.pem", generation / "key.pem"):
            shutil.rmtree(generation)
            raise CertificateError(f"{self.name}: the key is not the certificate's")
        link(self.folder, generation.relative_to(TLS))

    def is_presented(self, ca: str) -> bool:
        """Tell whether the authority beside it is the wanted one, and the key's mode and group are as they shall be."""
        status = (self.folder / "key.pem").stat()
        if self.read("ca.pem") != (ca or system_authorities()):
            return False
        return self.is_accessible(status)

    def is_accessible(self, status: os.stat_result) -> bool:
        """Tell whether root and the group can read the key, and nobody else."""
        wanted = group_id(self.group, create=False)
        return (status.st_uid, status.st_mode & 0o7777, status.st_gid) == (0, 0o640, wanted)

    def owes_hook(self) -> bool:
        """Tell whether its users have not been told of what is installed."""
        told = self.record.read_text() if self.record.exists() else ""
        return self.folder.is_symlink() and told != str(self.folder.readlink())

    def run_hook(self) -> None:
        """Tell its users, record that they were told, and forget generations that nobody uses any more."""
        installed = str(self.folder.readlink())
        for unit in self.units:
            if run("systemctl", "show", "--property=LoadState", "--value", unit).strip() != "not-found":
                run("systemctl", "try-reload-or-restart", unit)
        if self.command:
            run(*self.command)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        write(self.record, installed)
        for old in sorted(self.generations.iterdir())[:-KEPT_GENERATIONS]:
            if old != self.folder.resolve():
                shutil.rmtree(old)

    def problem(self) -> str | None:
        """Return what is wrong with what is installed."""
        leaf = self.leaf
        if not leaf:
            return "there is none"
        certificate, key = self.folder / "certificate.pem", self.folder / "key.pem"
        if leaf.ends < time.time():
            return f"it has ended on {time.strftime('%Y-%m-%d', time.localtime(leaf.ends))}"
        if missing := [name for name in self.names if not leaf.covers(name)]:
            return f"it is not for {', '.join(missing)}"
        if not is_pair(certificate, key):
            return "the key is not the certificate's"
        if not self.is_accessible(key.stat()):
            return f"the key is not readable for the group {self.group} alone"
        verify(str(self.folder / "ca.pem"), certificate)
        return None


def group_id(name: str, *, create: bool = True) -> int:
    """Return a group's number; one that its package has not made yet is made, as the package would."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if not create:
            return -1
    run("groupadd", "--system", name)
    return grp.getgrnam(name).gr_gid
