"""A static web server on loopback that knows ranges, and counts what it sends. Files go out by sendfile(2), so that it is not in the way."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Counter:
    """Bytes of bodies, counted before they are sent: whoever has them finds them here; and requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes, self.requests = 0, 0

    def add(self, count: int) -> None:
        """Count one request."""
        with self._lock:
            self.bytes += count
            self.requests += 1

    def reset(self) -> None:
        """Begin at 0."""
        with self._lock:
            self.bytes, self.requests = 0, 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else many small answers over one connection wait 40 ms each

    def __init__(self, folder: Path, counter: Counter, *words: Any) -> None:  # noqa: ANN401
        self._folder, self._counter = folder, counter
        super().__init__(*words)

    def do_GET(self) -> None:
        """A file, or one range of it, or several."""
        path = self._folder / unquote(urlsplit(self.path).path).lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=((?:\d+-\d+,? ?)+)", self.headers.get("Range", ""))
        with path.open("rb") as file, suppress(ConnectionError):
            if asked is None:
                self._counter.add(size)
                self._begin(200, size)
                self.connection.sendfile(file)
                return
            pairs = re.findall(r"(\d+)-(\d+)", asked[1])
            pieces = [(int(first), min(int(last), size - 1)) for first, last in pairs]
            if len(pieces) == 1:
                ((first, last),) = pieces
                self._counter.add(last + 1 - first)
                self._begin(206, last + 1 - first, **{"Content-Range": f"bytes {first}-{last}/{size}"})
                self.connection.sendfile(file, first, last + 1 - first)
                return
            heads = [
                f"\r\n--piece\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n".encode() for first, last in pieces
            ]
            end = b"\r\n--piece--\r\n"
            length = sum(map(len, heads)) + sum(last + 1 - first for first, last in pieces) + len(end)
            self._counter.add(length)
            self._begin(206, length, **{"Content-Type": "multipart/byteranges; boundary=piece"})
            for head, (first, last) in zip(heads, pieces, strict=True):
                self.connection.sendall(head)
                self.connection.sendfile(file, first, last + 1 - first)
            self.connection.sendall(end)

    def _begin(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Counter]]:
    """The address of the folder, without a slash at its end, and what is counted."""
    counter = Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder, counter))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", counter
    finally:
        server.shutdown()
        server.server_close()
