"""A real HTTP server on loopback that serves a folder, until a test tells it to be slow, broken or hostile."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import Message
    from pathlib import Path

    Answer = Callable[["Handler"], None]


def content(data: bytes) -> Answer:
    """An answer with this body."""
    return lambda handler: handler.reply(data)


@dataclass(frozen=True)
class Request:
    path: str
    headers: Message
    client_address: tuple[str, int]


def name_of(path: str) -> str:
    return unquote(urlsplit(path).path).rpartition("/")[2]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(Request(self.path, self.headers, self.client_address))
        answer = self.server.answers.get(self.name) or self.server.always
        # A client that has had enough closes the connection.
        with suppress(ConnectionError, TimeoutError, ssl.SSLError):
            if answer is None:
                self.file()
            else:
                answer(self)

    def do_CONNECT(self) -> None:
        self.do_GET()

    @property
    def name(self) -> str:
        """The last part of the path."""
        return name_of(self.path)

    def file(self) -> None:
        """What a static web server does."""
        path = self.server.folder / unquote(urlsplit(self.path).path).lstrip("/")
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not path.is_file():
            self.reply(b"not here", 404)
        elif asked is None or not self.server.ranges:
            self.reply(path.read_bytes())
        else:
            whole, first, last = path.read_bytes(), int(asked[1]), int(asked[2])
            piece = whole[first : last + 1]
            self.reply(piece, 206, Content_Range=f"bytes {first}-{first + len(piece) - 1}/{len(whole)}")

    def reply(self, body: bytes, status: int = 200, **headers: object) -> None:
        """An answer with a length; ``Content_Type=...`` for a header."""
        self.send_response(status)
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        for name, value in {"Content-Length": str(len(body)), **named}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, data: Iterable[bytes], looks: threading.Semaphore | None = None) -> None:
        """Pieces until the client has had enough, or one for each of its ``looks`` at the clock."""
        for piece in data:
            if looks is not None and not looks.acquire(timeout=2):
                return
            self.wfile.write(piece)
            self.server.sent += len(piece)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    """``answers``: by the last part of the path; ``always``: for all others."""

    daemon_threads = True

    def __init__(self, folder: Path, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.scheme = "http"
        if context is not None:
            self.scheme, self.socket = "https", context.wrap_socket(self.socket, server_side=True)
        self.answers: dict[str, Answer] = {}
        self.always: Answer | None = None
        self.ranges = True
        self.requests: list[Request] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    @property
    def asked(self) -> list[str]:
        return [name_of(request.path) for request in self.requests]

    def handle_error(self, *_: object) -> None:
        """A handshake that the client broke off."""

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def certificate(folder: Path, begin: dt.datetime, days: int = 30) -> Path:
    """Key and certificate of 127.0.0.1, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=days))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    text = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(text + made.public_bytes(encoding))
    return path


def server_context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
