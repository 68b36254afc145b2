"""Commands, and how a failure is told."""

import subprocess


class CertificateError(Exception):
    """What the operator has to know, in one sentence."""


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command and return what it printed; a CertificateError has its last words when it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise CertificateError(f"`{' '.join(command)}` ended with {done.returncode}: {words}")
    return done.stdout
