#!/usr/bin/python3
"""Install certificates for Nginx, which reads them at each handshake, so that it needs no reload.

1. A pair of certificate and key is refused unless both are there, belong together and are valid today.
   Then what is installed stays, and Nginx goes on with it.
2. Both go into one file of a new name, readable for Nginx's workers; the key itself may be for root alone.
3. SITE.pem is a link to it, replaced by one rename. Nginx resolves the link once in a handshake, and then reads
   certificate and key, so that none meets both sides of a renewal. The file before stays for those that have begun.

nginx-certificates.path runs this whenever a certificate or key changes.
"""

import argparse
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

FOLDER = Path("/etc/nginx/certificates")
GROUP = "www-data"


def problem(name: str, certificate: Path, key: Path) -> str | None:
    """Return what is wrong with a pair."""
    for path in (certificate, key):
        if not path.is_file():
            return f"nginx_sites: {name}: {path} is not there; get a certificate, or correct the path"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        return f"nginx_sites: {name}: {key} is not the key of {certificate}, or needs a password: {error}"
    check = ("openssl", "x509", "-checkend", "0", "-noout", "-in", certificate)
    if subprocess.run(check, check=False, capture_output=True).returncode:
        return f"nginx_sites: {name}: {certificate} is expired; renew it"
    return None


def install(name: str, certificate: Path, key: Path) -> bool:
    """Put a pair in place; tell whether that changed anything."""
    pair = certificate.read_bytes().rstrip() + b"\n" + key.read_bytes()
    link, file = FOLDER / f"{name}.pem", FOLDER / f"{name}.{hashlib.sha256(pair).hexdigest()[:16]}.pem"
    if link.is_symlink() and link.resolve() == file and file.read_bytes() == pair:
        return False
    before = link.resolve()
    write(file, pair)
    partial = FOLDER / f".{name}.partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(file.name)
    partial.rename(link)
    for old in FOLDER.glob(f"{name}.*.pem"):
        if old not in (file, before):
            old.unlink()
    return True


def write(file: Path, content: bytes) -> None:
    """Write a file that Nginx's workers can read, whole or not at all."""
    FOLDER.mkdir(exist_ok=True, mode=0o755)
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as opened:
        shutil.chown(partial, "root", GROUP)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    partial.rename(file)


def main() -> None:
    """Install what is in order, and fail when something is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pair", nargs=3, metavar=("SITE", "CERTIFICATE", "KEY"), action="append", default=[]
    )
    parser.add_argument("--check", action="store_true", help="install nothing")
    parser.add_argument(
        "--absent-ok", action="store_true", help="a pair that is not there at all is no problem"
    )
    options = parser.parse_args()
    problems = []
    for name, certificate, key in ((name, Path(one), Path(other)) for name, one, other in options.pair):
        if options.absent_ok and not certificate.exists() and not key.exists():
            continue
        if found := problem(name, certificate, key):
            problems.append(found)
        elif not options.check and install(name, certificate, key):
            print(f"installed {name}", flush=True)
    if problems:
        sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
