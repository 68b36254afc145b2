"""The authorities that the whole system trusts."""

from pathlib import Path

from aisha_certificates.commands import run
from aisha_certificates.files import write

TRUSTED = Path("/usr/local/share/ca-certificates")
SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def system_authorities() -> str:
    """Return all of them, as PEM."""
    return SYSTEM_BUNDLE.read_text() if SYSTEM_BUNDLE.exists() else ""


def is_trusted(authorities: list[str]) -> bool:
    """Tell whether the system trusts these, and no others of ours."""
    written = files_of(authorities) == present()
    return written and all(pem.strip() in system_authorities() for pem in authorities)


def trust(authorities: list[str]) -> None:
    """Have the system trust these, and no longer those that were told before."""
    wanted = files_of(authorities)
    for path in present().keys() - wanted.keys():
        path.unlink()
    for path, pem in wanted.items():
        write(path, pem)
    run("update-ca-certificates")


def files_of(authorities: list[str]) -> dict[Path, str]:
    """Return the files that the system reads them from, with what is in them."""
    numbers = ["", *(f"-{number}" for number in range(2, len(authorities) + 1))]
    return {
        TRUSTED / f"aisha-authority{number}.crt": pem
        for number, pem in zip(numbers, authorities, strict=False)
    }


def present() -> dict[Path, str]:
    """Return those files as they are."""
    return {path: path.read_text() for path in TRUSTED.glob("aisha-authority*.crt")}
