"""What is posted: it comes whole, once, and nowhere else, and what is answered has the limits of what is fetched."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import pytest
import trustme

from update_agent.transport import errors
from update_agent.transport.http import HttpClient
from update_agent.transport.pace import Deadline, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY, KIND = b"<request>\xc3\xa4</request>", "text/xml"


class Seen(ThreadingHTTPServer):
    """Notes each request; ``plan`` answers it with a status, headers and a body, or None to close without a word."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secure = context is not None
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[str, str, str | None, bytes]] = []
        self.connections: list[object] = []
        self.plan: Callable[[str], tuple[int, dict[str, str], bytes] | None] = lambda _: (200, {}, b"answer")

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def url(self, path: str = "/") -> str:
        return f"http{'s' if self.secure else ''}://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A client that is gone is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: Seen
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.append(self)

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, self.headers.get("Content-Type"), body))
        planned = self.server.plan(self.path)
        if planned is None:
            self.close_connection = True
            return
        status, headers, answer = planned
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Tests say what they saw."""


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Seen]:
    with Seen() as started:
        yield started


def client(**options: object) -> HttpClient:
    return HttpClient(Deadline(60), limits=Limits(5, 1000, 0.5), **options)  # type: ignore[arg-type]


def test_it_comes_whole_and_the_answer_is_whole(server: Seen) -> None:
    with client() as asking:
        assert asking.post(server.url("/v1?a=b"), BODY, KIND, 100) == b"answer"
    assert server.seen == [("POST", "/v1?a=b", KIND, BODY)]


def test_by_a_proxy_it_is_the_same(server: Seen) -> None:
    with client(proxy=lambda _: server.url()) as asking:
        asking.post("http://updates.example.com/v1", BODY, KIND, 100)
    assert server.seen == [("POST", "http://updates.example.com/v1", KIND, BODY)]


def test_an_answer_that_is_too_long_is_left(server: Seen) -> None:
    server.plan = lambda _: (200, {}, bytes(101))
    with client() as asking, pytest.raises(errors.TooMuchError):
        asking.post(server.url(), BODY, KIND, 100)


def test_it_is_not_sent_again_by_itself(server: Seen) -> None:
    """Over a connection that was kept nobody could tell whether it came."""
    with client() as asking:
        assert asking.fetch(server.url(), 100) == b"answer"
        server.plan = lambda _: None
        with pytest.raises(errors.LostError):
            asking.post(server.url(), BODY, KIND, 100)
    assert [method for method, *_ in server.seen] == ["GET", "POST"]
    assert len(server.connections) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_takes_it_along(server: Seen, status: int) -> None:
    server.plan = lambda path: (status, {"Location": "/there"}, b"") if path == "/" else (200, {}, b"answer")
    with client() as asking:
        assert asking.post(server.url(), BODY, KIND, 100) == b"answer"
    assert server.seen == [("POST", "/", KIND, BODY), ("POST", "/there", KIND, BODY)]


def test_a_redirect_to_a_page_is_not_followed(server: Seen) -> None:
    server.plan = lambda _: (303, {"Location": "/there"}, b"")
    with client() as asking, pytest.raises(errors.RedirectError, match="redirected to a page"):
        asking.post(server.url(), BODY, KIND, 100)
    assert len(server.seen) == 1


def test_it_does_not_leave_https_by_a_redirect(server: Seen) -> None:
    authority = trustme.CA()
    context, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    with Seen(context) as secure, client(context=lambda: trusting) as asking:
        assert asking.post(secure.url(), BODY, KIND, 100) == b"answer"
        secure.plan = lambda _: (307, {"Location": server.url()}, b"")
        with pytest.raises(errors.RedirectError, match="from https"):
            asking.post(secure.url(), BODY, KIND, 100)
    assert server.seen == []
