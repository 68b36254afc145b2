"""Object storage: plain S3 through MinIO's SDK, streaming both ways."""

import errno
import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from minio import Minio
from minio.commonconfig import CopySource
from minio.error import MinioException, S3Error
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from aisha.errors import ServiceError, TooLargeError
from aisha.settings import Settings

PART_BYTES = 8 * 1024 * 1024
READ_BYTES = 1024 * 1024
CONNECTIONS = 32
UNREACHABLE = (HTTPError, MinioException, ConnectionError, TimeoutError)
PATIENT: dict[str, Any] = {
    "timeout": Timeout(connect=5, read=60),
    "retries": Retry(total=1, backoff_factor=0.2),
}
ONCE: dict[str, Any] = {"timeout": Timeout(connect=2, read=2), "retries": Retry(total=0)}
"""For asking whether the server answers."""


BUSY = ("InternalError", "ServiceUnavailable", "SlowDown", "XMinioServerNotInitialized")
"""Codes of a server that answers but cannot serve yet; anything else that it refuses is a wrong setting."""


FULL = ("XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage")
"""Codes of a server without room."""


class NoRoomError(OSError):
    """There is no room for another object now."""


class MissingObjectError(Exception):
    """There is no object under the key."""


class Objects:
    """One bucket. Its methods block: call them in a thread or a work-horse."""

    def __init__(self, settings: Settings) -> None:
        settings.required("s3_endpoint")
        self._bucket = settings.s3_bucket
        self._http, self._http_once = (_http(settings, patience) for patience in (PATIENT, ONCE))
        self._client = _client(settings, self._http)
        self._client_once = _client(settings, self._http_once)

    def __enter__(self) -> "Objects":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.clear()
        self._http_once.clear()

    def check(self) -> None:
        """Create the bucket unless it exists; waits for seconds at most, and tries once.

        Raises:
            ServiceError: the server refuses, or is not trusted; names the settings.
            HTTPError, OSError: it does not answer, or not now.
        """
        try:
            if not self._client_once.bucket_exists(self._bucket):
                self._client_once.make_bucket(self._bucket)
        except S3Error as error:
            if error.code in BUSY:
                raise
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise ServiceError(
                    f"S3 refuses the bucket {self._bucket} (AISHA_S3_*): {error.code}"
                ) from None
        except MaxRetryError as error:
            if isinstance(error.reason, SSLError):
                raise ServiceError(
                    f"the certificate of AISHA_S3_ENDPOINT is not trusted (AISHA_CA_FILE): {error.reason}"
                ) from None
            raise

    def put(self, key: str, data: BinaryIO, size: int = -1) -> None:
        """Store exactly `size` bytes under a key, or all that come, replacing what was there; holds one part in memory.

        Raises:
            NoRoomError: the server is full, or the bucket's quota is reached.
        """
        with _room():
            self._client.put_object(
                self._bucket, key, data, size, part_size=PART_BYTES, num_parallel_uploads=1
            )

    def move(self, key: str, target: str) -> None:
        """Give an object another key; the server copies it."""
        with _room():
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, key))
        self.remove(key)

    def read(self, key: str) -> bytes:
        """Return a small object whole.

        Raises:
            MissingObjectError: it is not there.
        """
        response = _get(self._client, self._bucket, key)
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    @contextmanager
    def spool(self, key: str, folder: Path | None = None) -> Iterator[BinaryIO]:
        """Yield a copy of the object: a nameless file in `folder`, at its beginning, for which room is reserved.

        The object is read once and in order, however its reader jumps about in the copy.

        Raises:
            MissingObjectError: it is not there.
            TooLargeError: it is larger than the folder's file system.
            OSError: there is no room for it now.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            self._copy(key, cast("BinaryIO", file))
            file.seek(0)
            yield cast("BinaryIO", file)

    def _copy(self, key: str, file: BinaryIO) -> None:
        """Copy an object; a copy that breaks off goes on where it was, unless nothing came this time."""
        while True:
            begun = file.tell()
            response = _get(self._client, self._bucket, key, begun)
            try:
                size = begun + int(response.headers["Content-Length"])
                if size and not begun:
                    _reserve(file, size)
                file.writelines(response.stream(READ_BYTES))
            except HTTPError:
                if file.tell() == begun:
                    raise
            finally:
                response.close()
                response.release_conn()
            if file.tell() == size:
                return

    def remove(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        self._client.remove_object(self._bucket, key)

    def remove_below(self, prefix: str) -> None:
        """Delete every object whose key begins so."""
        for found in self._client.list_objects(self._bucket, prefix, recursive=True):
            self.remove(found.object_name)


@contextmanager
def _room() -> Iterator[None]:
    """Raise `NoRoomError` for what a full server, or the bucket's quota, refuses."""
    try:
        yield
    except S3Error as error:
        raise (NoRoomError(f"S3 says {error.code}") if error.code in FULL else error) from None


def _http(settings: Settings, patience: dict[str, Any]) -> PoolManager:
    assert settings.s3_endpoint
    encrypted = settings.s3_endpoint.scheme == "https"
    context = _trusting(settings.ca_file) if encrypted else None
    return PoolManager(maxsize=CONNECTIONS, ssl_context=context, **patience)


def _client(settings: Settings, http: PoolManager) -> Minio:
    assert settings.s3_endpoint
    return Minio(
        f"{settings.s3_endpoint.host}:{settings.s3_endpoint.port}",
        access_key=settings.secret("s3_access_key"),
        secret_key=settings.secret("s3_secret_key"),
        secure=settings.s3_endpoint.scheme == "https",
        region="us-east-1",
        http_client=http,
    )


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's CAs and the one in `ca_file`."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _reserve(file: BinaryIO, size: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        folder = os.fstatvfs(file.fileno())
        if error.errno == errno.ENOSPC and folder.f_blocks * folder.f_frsize < size:
            raise TooLargeError(f"larger than the folder of AISHA_SPOOL_DIR: {size} bytes") from None
        raise


def _get(client: Minio, bucket: str, key: str, offset: int = 0) -> BaseHTTPResponse:
    try:
        return client.get_object(bucket, key, offset=offset)
    except S3Error as error:
        if error.code == "NoSuchKey":
            raise MissingObjectError(f"no object {key}") from None
        raise
