"""A vendor's web site on this machine, with the faults of the real network."""

import hashlib
import io
import json
import stat
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "vosk-model-small-tr-0.3"


def archive(name: str = MODEL, extra: dict[str, bytes] | None = None, links: tuple[str, ...] = ()) -> bytes:
    """Return a zip of a model, 300 kB of it incompressible, with more members if wanted."""
    members = {
        f"{name}/am/final.mdl": bytes(range(256)) * 1200,
        f"{name}/conf/model.conf": b"--beam=10\n",
        f"{name}/graph/phones/word_boundary.int": b"1 begin\n",
        **(extra or {}),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for path, content in members.items():
            zipped.writestr(path, content)
        for path in links:
            link = zipfile.ZipInfo(path)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            zipped.writestr(link, "/etc/passwd")
    return file.getvalue()


class Vendor:
    """Serves one archive and the list; `faults` are taken one for each request of the archive.

    A fault is a status code, or the number of bytes (as a negative number) after which the connection
    breaks, or the seconds (a float) that the answer stalls after its first bytes.
    """

    def __init__(self, data: bytes, name: str = MODEL, md5: str | None = None) -> None:
        self.data = data
        self.name = name
        self.md5 = md5 or hashlib.md5(data).hexdigest()
        self.etag: str | None = '"one"'
        self.ranges = True
        self.faults: list[float] = []
        self.asked: list[str | None] = []
        self.on_request: Callable[[], None] = lambda: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/models"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/models/model-list.json":
                    entry = {"name": vendor.name, "lang": "tr", "md5": vendor.md5, "size": len(vendor.data)}
                    self._send(200, json.dumps([entry]).encode())
                elif self.path == f"/models/{vendor.name}.zip":
                    self._archive()
                else:
                    self._send(404, b"")

            def _archive(self) -> None:
                vendor.asked.append(self.headers["Range"])
                vendor.on_request()
                fault = vendor.faults.pop(0) if vendor.faults else None
                if isinstance(fault, int) and fault > 0:
                    self._send(fault, b"")
                    return
                begin = self._begin()
                self._send(206 if begin else 200, vendor.data[begin:], begin, fault)

            def _begin(self) -> int:
                wanted, guard = self.headers["Range"], self.headers["If-Range"]
                if not wanted or not vendor.ranges or guard not in (None, vendor.etag):
                    return 0
                return int(wanted.removeprefix("bytes=").removesuffix("-"))

            def _send(self, status: int, body: bytes, begin: int = 0, fault: float | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status == 206:
                    whole = len(vendor.data)
                    self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
                if vendor.etag:
                    self.send_header("ETag", vendor.etag)
                self.end_headers()
                if isinstance(fault, int):
                    self.wfile.write(body[:-fault])
                    return
                if fault:
                    self.wfile.write(body[:1000])
                    threading.Event().wait(fault)
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Keep the tests' output clean."""

        return Handler
