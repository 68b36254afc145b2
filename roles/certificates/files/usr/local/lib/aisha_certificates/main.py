"""The command line."""

import argparse
import json
import os
import sys
from pathlib import Path

import aisha_certificates
from aisha_certificates.host import Host
from aisha_certificates.locks import locked

CONFIG = Path("/etc/aisha/certificates.json")
LOCK = Path("/run/aisha-certificates.lock")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=aisha_certificates.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("apply", "renew", "check"))
    parser.add_argument("--dry-run", action="store_true", help="tell what apply would do")
    options = parser.parse_args()
    host = Host(json.loads(CONFIG.read_text()), dry_run=options.dry_run)
    if options.verb == "check":
        sys.exit("\n".join(host.problems()) or 0)
    os.umask(0o022)  # other users' services go through the folders
    with locked(LOCK):
        if options.verb == "apply":
            requests = host.apply(json.load(sys.stdin))
            report = {"actions": host.actions, "problems": host.failed, "requests": requests}
            print(json.dumps(report | {"warnings": host.warnings()}))
        else:
            host.renew()
            print("\n".join([*host.actions, *host.warnings(), *host.failed]))
    sys.exit(1 if host.failed else 0)
