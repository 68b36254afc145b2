"""Fetches a model's archive over HTTP: resumes it, and checks it before it counts as whole.

An incomplete archive stays beside the models as a hidden `.part` file with a note of what it is a part of,
and the next try resumes it.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests

from aisha.errors import ModelError
from aisha.models.catalogue import MAVEN, Model
from aisha.settings import Settings

CHUNK = 64 * 1024
TRIES = 5
CONNECT_TIMEOUT = 10.0
STALL_TIMEOUT = 30.0
UNPACKED = 2.0
"""A model unpacked takes up to twice its archive."""


class Progress(Protocol):
    """Told how far a download is, in bytes; `total` is None when the server does not say."""

    def __call__(self, done: int, total: int | None) -> None:
        """Show it."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Where an archive is; its checksum (`algorithm` as in hashlib) and, if known, its size in bytes."""

    url: str
    algorithm: str
    checksum: str
    size: int | None = None

    @property
    def file_name(self) -> str:
        """The last part of its address."""
        return self.url.rsplit("/", 1)[-1]


class _PassingError(Exception):
    """A transient fault: retry."""


def locate(model: Model, settings: Settings) -> Archive:
    """Return the archive of a model.

    Raises:
        ModelError: the vendor's list cannot be fetched or does not name the model.
    """
    if maven := MAVEN.get(model.name):
        from maven_artifact.artifact import Artifact
        from maven_artifact.resolver import Resolver

        base = str(settings.maven_repository or Resolver.default().base).rstrip("/")
        artifact = Artifact(maven.group, maven.artifact, maven.version, extension=maven.packaging)
        return Archive(artifact.uri(base), "sha256", maven.sha256)
    base = str(settings.models_url).rstrip("/")
    listed = _patiently(lambda: _vendor_list(f"{base}/model-list.json"), model, base)
    entry = next((entry for entry in listed if entry.get("name") == model.name), None)
    if not entry or not entry.get("md5"):
        raise ModelError(f"{base}/model-list.json has no checksum for {model.name}")
    return Archive(
        f"{base}/{model.name}.zip", "md5", entry["md5"].lower(), int(entry.get("size") or 0) or None
    )


def fetch(archive: Archive, model: Model, part: Path, progress: Progress) -> str:
    """Download the archive into `part`, resuming what is there; return its SHA-256.

    Raises:
        ModelError: there is no network, no space, no such file, or the checksum is wrong twice.
    """
    for last in (False, True):
        _patiently(lambda: _download(archive, part, progress), model, archive.url)
        if _digest(part, archive.algorithm) == archive.checksum:
            return archive.checksum if archive.algorithm == "sha256" else _digest(part, "sha256")
        discard(part)
        if last:
            break
    raise ModelError(
        f"{archive.url} does not match the checksum that its vendor publishes; the download is deleted"
    )


def discard(part: Path) -> None:
    """Delete what was downloaded."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def require_space(folder: Path, needed: float) -> None:
    """Raise `ModelError` unless the folder's disk has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(f"{folder} needs {needed / 1e6:.0f} MB free and has {free / 1e6:.0f} MB")


def _patiently(attempt: Callable[[], Any], model: Model, url: str) -> Any:
    """Retry after transient faults, waiting 1, 2, 4 and 8 s."""
    for number in range(TRIES):
        try:
            return attempt()
        except (
            _PassingError,
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as e:
            fault: Exception = e
        except requests.RequestException as error:
            raise ModelError(f"{url}: {_short(error)}") from None
        if number + 1 < TRIES:
            time.sleep(2**number)
    file = MAVEN[model.name].file_name if model.name in MAVEN else f"{model.name}.zip"
    raise ModelError(
        f"cannot download from {url} ({_short(fault)}): check the network and HTTPS_PROXY, or download {file}"
        f" elsewhere and run `aisha models pull {model.language} --from {file}`"
    )


def _vendor_list(url: str) -> list[dict[str, Any]]:
    with requests.get(url, timeout=(CONNECT_TIMEOUT, STALL_TIMEOUT)) as response:
        _check(response)
        try:
            listed: list[dict[str, Any]] = response.json()
        except ValueError:
            raise ModelError(f"{url} is not the vendor's list of models") from None
    return listed


def _download(archive: Archive, part: Path, progress: Progress) -> None:
    """Append to the part what it lacks."""
    done = _resumable(archive, part)
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
        if etag := json.loads(_note(part).read_text()).get("etag"):
            headers["If-Range"] = etag
    with requests.get(
        archive.url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, STALL_TIMEOUT)
    ) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            _keep_if_whole(response, part, done)
            return
        _check(response)
        if not _continues(response, done):
            done = 0
        _save(response, archive, part, done, progress)


def _resumable(archive: Archive, part: Path) -> int:
    """Return how many bytes of this very archive are there already."""
    try:
        noted = json.loads(_note(part).read_text())
        if (noted["url"], noted["checksum"]) == (archive.url, archive.checksum):
            return part.stat().st_size
    except (OSError, ValueError, KeyError):
        pass
    discard(part)
    return 0


def _continues(response: requests.Response, done: int) -> bool:
    """Tell whether the server sends only the rest of the file."""
    wanted = f"bytes {done}-"
    return response.status_code == requests.codes.partial_content and response.headers.get(
        "Content-Range", ""
    ).startswith(wanted)


def _keep_if_whole(response: requests.Response, part: Path, done: int) -> None:
    """Take an unsatisfiable range as the end when the server's size agrees, else start over."""
    if response.headers.get("Content-Range") != f"bytes */{done}":
        discard(part)
        raise _PassingError("the file changed on the server")


def _check(response: requests.Response) -> None:
    if response.status_code == requests.codes.too_many_requests or response.status_code >= 500:
        raise _PassingError(f"HTTP {response.status_code}")
    response.raise_for_status()


def _save(response: requests.Response, archive: Archive, part: Path, done: int, progress: Progress) -> None:
    length = response.headers.get("Content-Length")
    total = done + int(length) if length else archive.size
    require_space(part.parent, ((total or 0) - done) + UNPACKED * (total or 0))
    note = {"url": archive.url, "checksum": archive.checksum, "etag": _strong_etag(response)}
    _note(part).write_text(json.dumps(note))
    try:
        with part.open("ab" if done else "wb") as file:
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                progress(done, total)
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        discard(part)
        raise ModelError(f"cannot write to {part.parent}: {error.strerror}") from None
    if total and done < total:
        raise _PassingError(f"the connection ended {total - done} bytes early")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    yield from response.iter_content(CHUNK)


def _strong_etag(response: requests.Response) -> str | None:
    """Return the validator that If-Range may use: a strong one (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else None


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _note(part: Path) -> Path:
    return part.with_suffix(".json")


def _short(error: Exception) -> str:
    """Say what went wrong without urllib3's nested objects."""
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return str(error)
