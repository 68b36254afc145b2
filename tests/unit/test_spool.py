"""An object is read once, in order, into a nameless file."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from urllib3.exceptions import HTTPError

from aisha.errors import TooLargeError
from aisha.objects import MissingObjectError, Objects
from aisha.settings import Settings

CONTENT = os.urandom(3 * 1024 * 1024)


class Store(BaseHTTPRequestHandler):
    """An S3 server with one object, which breaks off after so many bytes of an answer."""

    asked: ClassVar[list[str | None]] = []
    breaks_after: ClassVar[int] = len(CONTENT)

    def do_GET(self) -> None:
        if "missing" in self.path:
            self.send_response(404)
            body = b"<Error><Code>NoSuchKey</Code></Error>"
            self.send_header("Content-Type", "application/xml")
        else:
            self.asked.append(begin := self.headers["Range"])
            self.send_response(206 if begin else 200)
            body = CONTENT[int(begin.removeprefix("bytes=").rstrip("-")) if begin else 0 :]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(body[: self.breaks_after])

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    monkeypatch.setattr(Store, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield Objects(Settings(s3_endpoint=address, s3_access_key="access", s3_secret_key="secret"))
    server.shutdown()


def test_an_object_is_asked_for_once_and_lies_in_a_file_without_a_name(
    objects: Objects, tmp_path: Path
) -> None:
    with objects.spool("recording", tmp_path) as file:
        assert list(tmp_path.iterdir()) == []
        assert os.pread(file.fileno(), len(CONTENT) + 1, 0) == CONTENT
        assert file.tell() == 0
    assert Store.asked == [None]


def test_an_answer_that_breaks_off_is_continued_where_it_was(
    objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "breaks_after", 2 * 1024 * 1024)
    with objects.spool("recording", tmp_path) as file:
        assert file.read() == CONTENT
    assert Store.asked == [None, f"bytes={2 * 1024 * 1024}-"]


def test_a_store_that_sends_nothing_any_more_is_a_failure_of_the_store(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "breaks_after", 0)
    with pytest.raises(HTTPError), objects.spool("recording"):
        pass


def test_an_object_that_is_not_there_is_told_apart(objects: Objects) -> None:
    with pytest.raises(MissingObjectError), objects.spool("missing"):
        pass


@pytest.mark.parametrize(("blocks", "error"), [(10, TooLargeError), (10**9, OSError)])
def test_what_finds_no_room_waits_and_what_never_could_is_refused(
    blocks: int, error: type[Exception], objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.fstatvfs(0)
    size = os.statvfs_result([real.f_bsize, 4096, blocks, *list(real)[3:]])
    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(os, "fstatvfs", lambda _: size)
    with pytest.raises(error), objects.spool("recording"):
        pass
