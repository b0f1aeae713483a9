"""A web server on loopback that can do to a request all that a bad network and a bad server do.

Each request asks ``Server.plan`` what is done to it: None for nothing, or a ``Fault``. The server counts the bytes of bodies that
it sent, which is what a metered network bills. It is also a proxy, in the clear and by CONNECT.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import random
import re
import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

PIECE = 16 << 10
"""Bytes that are sent at once."""
SEND_BUFFER = 32 << 10
"""Bytes that the kernel may hold for a client that does not take them: what a reset loses."""


@dataclass(frozen=True)
class Fault:
    """``kind`` is the name of a method of ``Handler`` without its ``do_``; ``at`` a byte of the body; ``headers`` are set on top."""

    kind: str
    at: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 0


@dataclass(frozen=True)
class Request:
    """A request as it came; ``number`` counts from 0."""

    number: int
    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def range(self) -> tuple[int, int] | None:
        """First byte and the one behind the last."""
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        return (int(found[1]), int(found[2]) + 1) if found else None


class Server(ThreadingTCPServer):
    """Serves ``files`` (path -> content) until the end of the block."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, files: Mapping[str, bytes], context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.context = dict(files), context
        self.plan: Callable[[Request], Fault | None] = lambda _: None
        self.tag: str | None = None
        """The ETag of all, where that is not made from the content."""
        self.requests: list[Request] = []
        self.sent = 0
        self.connections = 0
        self.over = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()

    def url(self, path: str = "/blob", host: str = "127.0.0.1") -> str:
        return f"http{'s' if self.context else ''}://{host}:{self.server_address[1]}{path}"

    def seen(self, request: Request) -> Request:
        with self._lock:
            self.requests.append(Request(len(self.requests), request.method, request.target, request.headers))
            return self.requests[-1]

    def count(self, sent: int) -> None:
        with self._lock:
            self.sent += sent

    def get_request(self) -> tuple[socket.socket, Any]:
        sock, address = super().get_request()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.connections += 1
        return sock, address

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        if self.context is not None:
            with contextlib.suppress(OSError):
                secured = self.context.wrap_socket(request, server_side=True)
                super().finish_request(secured, client_address)
                secured.close()
            return
        super().finish_request(request, client_address)

    def handle_error(self, *_: object) -> None:
        """A client that is gone is no error."""


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


class Handler(StreamRequestHandler):
    """One connection."""

    server: Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self.one():
                pass

    def one(self) -> bool:
        line = self.rfile.readline(65536).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = {}
        while (text := self.rfile.readline(65536).decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        request = self.server.seen(Request(0, line[0], line[1], headers))
        fault = self.server.plan(request)
        if request.method == "CONNECT" and fault is None:
            return self.tunnel(request.target)
        content = self.server.files.get(re.sub(r"^http://[^/]+", "", request.target))
        if fault is not None:
            getattr(self, f"do_{fault.kind}")(request, content or b"", fault)
            return False
        if content is None:
            self.head("404 Not Found", {"Content-Length": "0"})
            return True
        self.answer(request, content)
        return True

    def head(self, status: str, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1"))

    def answer(
        self, request: Request, content: bytes, changes: Mapping[str, str | None] | None = None, stop: int | None = None
    ) -> None:
        """What was asked for; ``changes`` to the headers; the body ends before byte ``stop``."""
        asked = request.range
        tag = self.server.tag or etag(content)
        headers: dict[str, str | None] = {"ETag": tag, "Content-Type": "application/octet-stream"}
        same = request.headers.get("if-range") in {None, (changes or {}).get("ETag", tag)}
        if asked is not None and same and asked[0] >= len(content):
            self.head("416 Range Not Satisfiable", {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        status, body = "200 OK", content
        if asked is not None and same:
            end = min(asked[1], len(content))
            status, body = "206 Partial Content", content[asked[0] : end]
            headers["Content-Range"] = f"bytes {asked[0]}-{end - 1}/{len(content)}"
        headers |= {"Content-Length": str(len(body)), **(changes or {})}
        self.head(status, {name: value for name, value in headers.items() if value is not None})
        self.body(body[:stop])

    def body(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            self.server.count(len(piece))
            self.wfile.write(piece)

    def tunnel(self, target: str) -> bool:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as other:
            self.head("200 Connection established", {})
            pair = {self.connection: other, other: self.connection}
            while True:
                for one in select.select([*pair], [], [], 10)[0]:
                    data = one.recv(65536)
                    if not data:
                        return False
                    pair[one].sendall(data)

    # Faults.

    def do_reset(self, request: Request, content: bytes, fault: Fault) -> None:
        """A reset after ``at`` bytes of the body; what the client has not taken by then is lost."""
        self.answer(request, content, stop=fault.at)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def do_cut(self, request: Request, content: bytes, fault: Fault) -> None:
        """An orderly end after ``at`` bytes of the body."""
        self.answer(request, content, stop=fault.at)

    def do_hang_up(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        """No answer at all."""

    def do_stall(self, request: Request, content: bytes, fault: Fault) -> None:
        self.answer(request, content, stop=fault.at)
        self.server.over.wait()

    def do_silence(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        """Not even headers."""
        self.server.over.wait()

    def do_drip(self, request: Request, content: bytes, fault: Fault) -> None:
        """The body from ``at`` on comes byte by byte."""
        self.answer(request, content, stop=fault.at)
        for byte in content[(request.range or (0, 0))[0] + fault.at :]:
            self.wfile.write(bytes([byte]))
            if self.server.over.wait(0.005):
                return

    def do_drip_headers(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        self.wfile.write(b"HTTP/1.1 206 Partial Content\r\nX-Slow: ")
        while not self.server.over.wait(0.005):
            self.wfile.write(b"a")

    def do_endless_headers(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        self.wfile.write(b"HTTP/1.1 206 Partial Content\r\n")
        while not self.server.over.is_set():
            self.wfile.write(b"X-More: and more\r\n" * 100)

    def do_garbage(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        self.wfile.write(b"\x00\xff\xfe SSH-2.0 hello\r\n\r\n")

    def do_whole(self, request: Request, content: bytes, _fault: Fault) -> None:
        """200 for a range."""
        self.answer(Request(0, "GET", request.target, {}), content)

    def do_headers(self, request: Request, content: bytes, fault: Fault) -> None:
        """An answer whose headers are not true."""
        self.answer(request, content, fault.headers)

    def piece(self, request: Request, content: bytes, headers: Mapping[str, str]) -> tuple[int, int]:
        """The head for what was asked for, a range or the whole; its first byte and the one behind the last."""
        if request.range is None:
            self.head("200 OK", headers)
            return 0, len(content)
        first, end = request.range
        self.head("206 Partial Content", {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}", **headers})
        return first, end

    def do_chunked(self, request: Request, content: bytes, fault: Fault) -> None:
        """Without a length; ``at`` more bytes than the range has, or less where it is negative."""
        first, end = self.piece(request, content, {"Transfer-Encoding": "chunked"})
        body = content[first : end + min(fault.at, 0)] + bytes(max(fault.at, 0))
        for start in range(0, len(body), 1000):
            piece = body[start : start + 1000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.server.count(len(piece))
        self.wfile.write(b"0\r\n\r\n")

    def do_chunked_cut(self, request: Request, content: bytes, fault: Fault) -> None:
        """Chunks, and an end in the middle of one."""
        first, end = self.piece(request, content, {"Transfer-Encoding": "chunked"})
        self.wfile.write(b"%x\r\n" % (end - first) + content[first : first + fault.at])

    def do_gzip(self, request: Request, content: bytes, _fault: Fault) -> None:
        first, end = request.range or (0, len(content))
        packed = gzip.compress(content[first:end], 1)
        self.piece(request, content, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
        self.body(packed)

    def do_portal(self, _request: Request, _content: bytes, _fault: Fault) -> None:
        page = b"<html><body>Please log in to our hotel.</body></html>"
        self.head("200 OK", {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(page))})
        self.wfile.write(page)

    def do_status(self, _request: Request, _content: bytes, fault: Fault) -> None:
        """Nothing but that; where ``at`` is not 0, the connection stays open."""
        self.head(f"{fault.status} Told So", {"Content-Length": "0", **fault.headers})
        if fault.at:
            self.server.over.wait()

    def do_moved(self, _request: Request, content: bytes, _fault: Fault) -> None:
        """A redirect with many words, and the next request is served."""
        self.head("302 Found", {"Location": "/blob", "Content-Length": str(len(content))})
        self.body(content)
        while self.one():
            pass


TEMPORARY = (
    "reset",
    "cut",
    "hang_up",
    "stall",
    "garbage",
    "gzip",
    "portal",
    "chunked",
    "chunked_cut",
    "busy",
    "limited",
    "wrong_range",
    "short",
    "long",
)
"""Faults after which the next request may be served well."""


def temporary(chance: random.Random, length: int) -> Fault:
    """One of them, for an answer of ``length`` bytes."""
    kind, at = chance.choice(TEMPORARY), chance.randrange(max(1, length))
    special = {
        "busy": Fault("status", status=503, headers={"Retry-After": "1"}),
        "limited": Fault("status", status=429),
        "wrong_range": Fault("headers", headers={"Content-Range": "bytes 1-7/8"}),
        "short": Fault("headers", headers={"Content-Length": str(max(0, length - 1))}),
        "long": Fault("headers", headers={"Content-Length": str(length + 1)}),
        "chunked": Fault("chunked", at=chance.choice([-1, 1, 5000])),
    }
    return special.get(kind, Fault(kind, at=at))


def failing(seed: int, share: float) -> Callable[[Request], Fault | None]:
    """A plan in which this share of all requests fails, and which is the same for the same seed."""
    chance = random.Random(seed)

    def plan(request: Request) -> Fault | None:
        first, end = request.range or (0, 1)
        return temporary(chance, end - first) if chance.random() < share else None

    return plan


def in_turn(*faults: Fault | None) -> Callable[[Request], Fault | None]:
    """The first request gets the first fault, and so on; those after the last get none."""

    def plan(request: Request) -> Fault | None:
        return faults[request.number] if request.number < len(faults) else None

    return plan


@contextlib.contextmanager
def serving(files: Mapping[str, bytes], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    with Server(files, context) as server:
        yield server
