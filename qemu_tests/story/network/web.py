"""A static web server on loopback, which guests reach through QEMU's own router as 10.0.2.2."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK = 1 << 16
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class Web:
    """Serves a folder, with ranges. ``sent`` counts the bytes of each file by its path.

    ``hold(suffix, count)``: from so many bytes of files with this ending on nothing more is sent until ``go_on``; ``held`` is set then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent, self.held = folder, dict[str, int](), threading.Event()
        self._held_suffix, self._count, self._free = "", 0, threading.Event()
        self._free.set()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with suppress(ConnectionError, TimeoutError):
                    web.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """As a guest sees it."""
        return f"http://10.0.2.2:{self._server.server_address[1]}"

    def hold(self, suffix: str, count: int) -> None:
        """Send no more than so many bytes of files with this ending."""
        self.held.clear()
        self._free.clear()
        self._held_suffix, self._count = suffix, count

    def go_on(self) -> None:
        """Send again."""
        self._held_suffix = ""
        self._free.set()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a GET."""
        name = unquote(urlsplit(handler.path).path).lstrip("/")
        path = self.folder / name
        if not path.is_file():
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        data, asked = path.read_bytes(), _RANGE.fullmatch(handler.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2])) if asked else (0, len(data) - 1)
        piece = memoryview(data)[first : last + 1]
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(piece)))
        if asked:
            handler.send_header("Content-Range", f"bytes {first}-{first + len(piece) - 1}/{len(data)}")
        handler.end_headers()
        for start in range(0, len(piece), _CHUNK):
            if self._held_suffix and name.endswith(self._held_suffix) and self.sent.get(name, 0) >= self._count:
                self.held.set()
                self._free.wait()
            handler.wfile.write(piece[start : start + _CHUNK])
            self.sent[name] = self.sent.get(name, 0) + len(piece[start : start + _CHUNK])
