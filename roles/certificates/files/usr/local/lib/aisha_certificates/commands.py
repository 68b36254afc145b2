"""Commands, and their errors."""

import subprocess


class CertificateError(Exception):
    """A failure, in one sentence for the operator."""


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command and return its output; on failure the CertificateError has the end of it."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-800:]
        raise CertificateError(f"`{' '.join(command)}` exited with {done.returncode}: {words}")
    return done.stdout
