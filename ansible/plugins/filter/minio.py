"""Filters of the minio role: its volumes, and Prometheus' token for its metrics."""

import base64
import hashlib
import hmac
import itertools
import json
import re
from urllib.parse import urlsplit

RANGE = re.compile(r"\{(\d+)\.\.\.(\d+)\}")
NEVER = 4102444800  # 2100-01-01: changing the user's password revokes a token


def expand(pattern: str) -> list[str]:
    """Return what a pattern such as `/data{1...4}` stands for; `{01...04}` keeps its zeros."""
    parts = RANGE.split(pattern)
    fixed, first, last = parts[::3], parts[1::3], parts[2::3]
    numbers = [
        [str(n).zfill(len(low) if low.startswith("0") else 0) for n in range(int(low), int(high) + 1)]
        for low, high in zip(first, last, strict=True)
    ]
    return [
        "".join(map("".join, zip(fixed, (*chosen, ""), strict=True)))
        for chosen in itertools.product(*numbers)
    ]


def minio_drives(volumes: list[str]) -> dict[str, object]:
    """Return the folders of one host, the names of the hosts (none for a single host), the URL schemes and the total number of drives."""
    drives = [urlsplit(volume) for pattern in volumes for volume in expand(pattern)]
    return {
        "folders": sorted({drive.path for drive in drives}),
        "hosts": sorted({drive.hostname for drive in drives if drive.hostname}),
        "schemes": sorted({drive.scheme for drive in drives if drive.scheme}),
        "count": len({drive.geturl() for drive in drives}),
    }


def minio_metrics_token(user: str, password: str) -> str:
    """Return the bearer token with which Prometheus reads the metrics as that user (a JWT, HMAC with SHA-512)."""
    claims = {"exp": NEVER, "sub": user, "iss": "prometheus"}
    signed = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS512", "typ": "JWT"}, claims))
    return f"{signed}.{_base64(hmac.digest(password.encode(), signed.encode(), hashlib.sha512))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {"minio_drives": minio_drives, "minio_metrics_token": minio_metrics_token}
