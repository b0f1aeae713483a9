"""Bad networks, each against a real server on loopback. Time passes where a test says so: nothing here waits."""

from __future__ import annotations

import base64
import gzip
import itertools
import socket
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.update_agent.repository.serving import Handler, Server, certificate, server_context
from tests.update_agent.repository.world import Hand, World, fetching
from update_agent.repository.errors import AbsentError, WithheldError
from update_agent.repository.fetcher import LONGEST, HttpFetcher
from update_agent.transport.errors import (
    BadAnswerError,
    BusyError,
    CaFileError,
    CertificateError,
    DeadlineError,
    EncodedError,
    ForbiddenError,
    LostError,
    MissingError,
    NotReachedError,
    ProxyError,
    RedirectError,
    ShorterError,
    StatusError,
    TooMuchError,
    TooSlowError,
    TransportError,
)
from update_agent.transport.pace import Limits
from update_agent.transport.retry import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Slow = Callable[[Hand], Callable[[Handler], None]]


def fetcher(hand: Hand | None = None, attempts: int = 3, total: float = 100.0, **changes: Any) -> HttpFetcher:  # noqa: ANN401
    return fetching(hand, patience=Patience(failures=attempts), metadata=total, **changes)


def serve(server: Server, *answers: Callable[[Handler], None]) -> None:
    """These answers, one for each request, the last one for all that follow."""
    rest = itertools.chain(answers, itertools.repeat(answers[-1]))

    def always(handler: Handler) -> None:
        next(rest)(handler)

    server.always = always


def ok(handler: Handler) -> None:
    handler.reply(b"content")


def status(code: int, **headers: object) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(b"", code, **headers)


def test_a_file_is_fetched_as_it_is(server: Server) -> None:
    serve(server, ok)
    found = fetcher()
    assert found.download_bytes(f"{server.url}/x", 7) == b"content"
    with found.download_file(f"{server.url}/x", 7) as file:
        assert file.read() == b"content"
    assert b"".join(found.fetch(f"{server.url}/x")) == b"content"
    assert server.requests[0].headers["Accept-Encoding"] == "identity"
    assert server.requests[0].headers["User-Agent"].startswith("slotboot/")
    assert len({request.client_address for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (204, StatusError),
        (206, StatusError),
        (304, StatusError),
        (400, StatusError),
        (401, ForbiddenError),
        (403, WithheldError),
        (404, AbsentError),
        (407, ProxyError),
        (410, MissingError),
        (416, ShorterError),
        (451, ForbiddenError),
    ],
)
def test_a_status_that_is_no_file_ends_at_once(server: Server, code: int, error: type[TransportError]) -> None:
    serve(server, status(code))
    with pytest.raises(TransportError, match=f"{code}") as caught:
        fetcher().download_bytes(f"{server.url}/x", 7)
    assert (type(caught.value), caught.value.status) == (error, code)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [401, 403, 404, 410, 418, 503])
def test_two_answers_say_that_there_is_no_newer_root_and_no_others(world: World, server: Server, code: int) -> None:
    server.answers["2.root.json"] = status(code)
    machine = world.machine(server.url)
    if code in {403, 404}:
        assert machine.refresh().versions["root"] == 1
    else:
        with pytest.raises(TransportError):
            machine.refresh()
        assert "timestamp.json" not in server.asked


# Too long


def test_a_file_that_says_that_it_is_too_long_is_not_begun(server: Server) -> None:
    def announced(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        handler.rfile.read(1)  # until the client leaves

    serve(server, announced)
    with pytest.raises(TooMuchError, match="more than the 1000 bytes"):
        fetcher(limits=Limits(5, 1000, 1), attempts=1).download_bytes(f"{server.url}/x", 1000)
    assert len(server.requests) == 1


@pytest.mark.parametrize("chunked", [True, False])
def test_a_file_without_an_end_is_left_where_it_is_too_long(server: Server, chunked: bool) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header(*("Transfer-Encoding", "chunked") if chunked else ("Connection", "close"))
        handler.end_headers()
        handler.drip(itertools.repeat(b"400\r\n" + bytes(0x400) + b"\r\n"))

    serve(server, endless)
    with pytest.raises(TooMuchError):
        fetcher().download_bytes(f"{server.url}/x", 1000)
    # What the buffers of the kernel take.
    assert server.sent < 16 << 20


def test_no_file_is_longer_than_the_longest_whatever_was_signed(server: Server) -> None:
    serve(server, lambda handler: handler.reply(bytes(LONGEST + 1)))
    with pytest.raises(TooMuchError, match="the 8388608 bytes"):
        fetcher().download_bytes(f"{server.url}/x", 1 << 62)


def test_interim_answers_trailers_and_chunks_without_an_end_are_left(server: Server) -> None:
    def continues(handler: Handler) -> None:
        handler.drip(itertools.repeat(b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 60000 + b"\r\n\r\n"))

    def trailers(handler: Handler) -> None:
        handler.drip(
            itertools.chain(
                [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"], itertools.repeat(b"X: y\r\n" * 999)
            )
        )

    def chunks(handler: Handler) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        handler.drip(itertools.chain([head], itertools.repeat(b"1;" + b"x" * 60000 + b"\r\nx\r\n")))

    for answer in (continues, trailers, chunks):
        serve(server, answer)
        with pytest.raises(BadAnswerError, match="it does not end"):
            fetcher(Hand(tick=0.01), attempts=1).download_bytes(f"{server.url}/x", 1000)
    assert server.sent < 32 << 20


# Too slow


def slow_body(hand: Hand) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.drip(itertools.repeat(b"x", 100000), hand.looks)

    return answer


def slow_headers(hand: Hand) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.drip(itertools.chain([b"HTTP/1.1 200 OK\r\nX-Slow: "], itertools.repeat(b"x", 60000)), hand.looks)

    return answer


SLOW = pytest.mark.parametrize("slow", [slow_body, slow_headers])


@SLOW
def test_a_server_that_drips_is_left_after_a_window_below_the_floor(server: Server, slow: Slow) -> None:
    hand = Hand(tick=0.5)
    serve(server, slow(hand))
    with pytest.raises(TooSlowError, match=r"only [0-9]{1,4} bytes came within 60 seconds"):
        fetcher(hand, attempts=1, total=1e6).download_bytes(f"{server.url}/x", 100000)


def test_a_server_that_is_just_fast_enough_may_go_on(server: Server) -> None:
    serve(server, lambda handler: handler.reply(bytes(5 << 20)))
    # Of a megabyte that is sent at once a read takes some kilobytes at least, in 2 s.
    hand = Hand(tick=2)
    assert len(fetcher(hand, total=1e6).download_bytes(f"{server.url}/x", 5 << 20)) == 5 << 20
    assert hand.seconds > 60


@SLOW
def test_the_deadline_holds_whatever_drips(server: Server, slow: Slow) -> None:
    hand = Hand(tick=0.5)
    serve(server, slow(hand))
    with pytest.raises(DeadlineError, match="not transferred within 30 seconds"):
        fetcher(hand, total=30.0).download_bytes(f"{server.url}/x", 100000)
    assert hand.seconds < 40


def test_a_proxy_that_drips_is_no_better(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url)
    hand = Hand(tick=0.5)
    serve(server, slow_headers(hand))
    with pytest.raises(DeadlineError):
        fetcher(hand, total=30.0).download_bytes("https://updates.example.com/x", 100)
    assert hand.seconds < 40


def test_a_server_that_says_nothing_after_the_headers_is_left(server: Server) -> None:
    ended: list[int] = []

    def stall(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "7")
        handler.end_headers()
        handler.connection.settimeout(30)
        ended.append(len(handler.rfile.read(1)))  # until the client leaves

    serve(server, stall)
    with pytest.raises(TooSlowError, match=r"it stalled: [0-9]{1,3} bytes came within 0\.05 seconds"):
        fetcher(limits=Limits(5, 1000, 0.05), attempts=1).download_bytes(f"{server.url}/x", 7)


# Again


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_later_and_later(server: Server, code: int) -> None:
    serve(server, status(code), status(code), ok)
    hand = Hand()
    assert fetcher(hand).download_bytes(f"{server.url}/x", 7) == b"content"
    assert hand.slept == [0.5, 1]


def test_pauses_differ_from_machine_to_machine(server: Server) -> None:
    slept = []
    for chance in (0.0, 0.99):
        serve(server, status(503), ok)
        hand = Hand()
        fetcher(hand, chance=partial(float, chance)).download_bytes(f"{server.url}/x", 7)
        slept += hand.slept
    assert slept == [0, 0.99]


def test_retry_after_is_kept_to_in_seconds_and_as_a_date_of_the_server(server: Server) -> None:
    date = {"Date": "Tue, 01 Jan 2030 00:00:00 GMT", "Retry_After": "Tue, 01 Jan 2030 00:00:40 GMT"}

    def dated(handler: Handler) -> None:
        handler.send_response_only(503)
        for name, value in date.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    serve(server, status(429, Retry_After=17), dated, ok)
    hand = Hand()
    assert fetcher(hand).download_bytes(f"{server.url}/x", 7) == b"content"
    assert hand.slept == [17 * 1.05, 40 * 1.05]


def test_who_asks_to_come_back_after_the_deadline_is_left_at_once(server: Server) -> None:
    serve(server, status(503, Retry_After=3600))
    hand = Hand()
    with pytest.raises(BusyError, match=r"\(503 .*\); it asks to come back in 3600 s") as caught:
        fetcher(hand).download_bytes(f"{server.url}/x", 7)
    assert (caught.value.after, hand.slept) == (3600, [])


@pytest.mark.parametrize("text", ["soon", "-5", "9" * 40, "Tue, 99 Jan 2030 00:00:00 GMT", ""])
def test_a_retry_after_that_is_none_is_as_if_it_were_not_there(server: Server, text: str) -> None:
    serve(server, status(503, Retry_After=text), ok)
    hand = Hand()
    assert fetcher(hand).download_bytes(f"{server.url}/x", 7) == b"content"
    assert hand.slept == [0.5]


def test_attempts_and_their_pauses_end_with_the_deadline(server: Server) -> None:
    serve(server, status(500))
    hand = Hand()
    with pytest.raises(DeadlineError, match="not transferred within 10 seconds; last: the server cannot serve it now"):
        fetcher(hand, total=10.0, attempts=100).download_bytes(f"{server.url}/x", 7)
    assert hand.seconds <= 10


@pytest.mark.parametrize("said", [100, 8])
def test_a_connection_that_breaks_off_is_made_again(server: Server, said: int) -> None:
    def short(handler: Handler) -> None:
        handler.reply(b"content", Content_Length=said)
        handler.close_connection = True

    serve(server, short, ok)
    assert fetcher().download_bytes(f"{server.url}/x", 1000) == b"content"
    serve(server, short)
    with pytest.raises(LostError):
        fetcher().download_bytes(f"{server.url}/x", 1000)


def test_a_connection_that_is_reset_is_made_again(server: Server) -> None:
    def reset(handler: Handler) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        handler.connection.close()
        handler.close_connection = True

    serve(server, reset, ok)
    assert fetcher().download_bytes(f"{server.url}/x", 7) == b"content"


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 999999 x\r\n\r\n",
        b"\0" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"220 mail\r\n",
    ],
)
def test_what_is_no_http_is_said_to_be_none(server: Server, raw: bytes) -> None:
    def answer(handler: Handler) -> None:
        handler.wfile.write(raw)
        handler.close_connection = True

    serve(server, answer)
    with pytest.raises((BadAnswerError, LostError)):
        fetcher().download_bytes(f"{server.url}/x", 7)


def test_name_resolution_that_comes_and_goes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    real, failures = socket.getaddrinfo, [socket.gaierror(-3, "Temporary failure in name resolution")]

    def getaddrinfo(*args: Any, **words: Any) -> Any:  # noqa: ANN401
        if failures:
            raise failures.pop()
        return real(*args, **words)

    serve(server, ok)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert fetcher().download_bytes(f"{server.url}/x", 7) == b"content"


def test_nobody_listens(server: Server) -> None:
    url = server.url
    server.socket.close()
    with pytest.raises(NotReachedError, match="Connection refused"):
        fetcher().download_bytes(f"{url}/x", 7)


# Redirects and encodings


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(server: Server, code: int) -> None:
    serve(server, status(code, Location="other/y"), ok)
    assert fetcher().download_bytes(f"{server.url}/a/x", 7) == b"content"
    assert [request.path for request in server.requests] == ["/a/x", "/a/other/y"]


@pytest.mark.parametrize("location", ["file:///etc/shadow", "ftp://127.0.0.1/x", "http://[::1/x", "//", "data:,x"])
def test_a_redirect_to_what_is_no_http_is_not_followed(server: Server, location: str) -> None:
    serve(server, status(302, Location=location))
    with pytest.raises(RedirectError):
        fetcher().download_bytes(f"{server.url}/x", 7)


def test_redirects_end(server: Server) -> None:
    serve(server, status(302, Location="/x"))
    with pytest.raises(RedirectError, match="more than 5 redirects"):
        fetcher().download_bytes(f"{server.url}/x", 7)
    assert len(server.requests) == 6
    serve(server, status(302))
    with pytest.raises(RedirectError, match="to nowhere"):
        fetcher().download_bytes(f"{server.url}/x", 7)


def test_a_file_that_a_proxy_compressed_is_refused(server: Server) -> None:
    serve(server, lambda handler: handler.reply(gzip.compress(b"content"), Content_Encoding="gzip"))
    with pytest.raises(EncodedError, match="Content-Encoding: 'gzip'"):
        fetcher().download_bytes(f"{server.url}/x", 700)
    serve(server, lambda handler: handler.reply(b"content", Content_Encoding="identity"))
    assert fetcher().download_bytes(f"{server.url}/x", 700) == b"content"


# Proxies


def test_proxies_come_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, ok)
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:p%40ss@"))
    assert fetcher().download_bytes("http://updates.example.com/x", 7) == b"content"
    assert server.requests[0].path == "http://updates.example.com/x"
    expected = base64.b64encode(b"me:p@ss").decode()
    assert server.requests[0].headers["Proxy-Authorization"] == f"Basic {expected}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetcher().download_bytes(f"{server.url}/x", 7) == b"content"
    assert server.requests[1].path == "/x"


def test_a_proxy_that_wants_a_password_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(server, status(407))
    monkeypatch.setenv("all_proxy", server.url)
    with pytest.raises(ProxyError, match=r"the proxy wants a password \(407"):
        fetcher().download_bytes("http://updates.example.com/x", 7)
    with pytest.raises(ProxyError, match=r"does not connect: 407"):
        fetcher().download_bytes("https://updates.example.com/x", 7)


def test_a_kind_of_proxy_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(ProxyError, match="only proxies that are reached by http://"):
        fetcher().download_bytes("http://updates.example.com/x", 7)


def test_a_proxy_of_the_settings_goes_before_those_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(server, ok)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "*")
    found = fetcher(proxy=server.url.replace("//", "//me:secret@"))
    assert found.download_bytes("http://updates.example.com/x", 7) == b"content"
    assert server.requests[0].path == "http://updates.example.com/x"


# TLS


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Server]:
    path = certificate(tmp_path, datetime.now(UTC) - timedelta(days=1))
    with Server(tmp_path, server_context(path)) as server:
        serve(server, ok)
        yield server


def test_a_server_that_is_trusted_is_read_and_others_are_not(encrypted: Server, tmp_path: Path) -> None:
    url = f"{encrypted.url}/x"
    assert fetcher(ca_file=str(tmp_path / "server.pem")).download_bytes(url, 7) == b"content"
    with pytest.raises(CertificateError, match="the server is not trusted"):
        fetcher().download_bytes(url, 7)
    assert len(encrypted.requests) == 1


def test_a_redirect_away_from_https_is_not_followed(encrypted: Server, server: Server, tmp_path: Path) -> None:
    for location in (f"{server.url}/y", "ftp://127.0.0.1/y"):
        serve(encrypted, status(302, Location=location))
        with pytest.raises(RedirectError, match="redirected"):
            fetcher(ca_file=str(tmp_path / "server.pem")).download_bytes(f"{encrypted.url}/x", 7)
    assert server.requests == []
    serve(server, status(302, Location=f"{encrypted.url}/x"))
    serve(encrypted, ok)
    fetched = fetcher(ca_file=str(tmp_path / "server.pem")).download_bytes(f"{server.url}/y", 7)
    assert fetched == b"content"


def test_an_encrypted_server_that_drips_is_left(encrypted: Server, tmp_path: Path) -> None:
    hand = Hand(tick=0.5)
    serve(encrypted, slow_headers(hand))
    found = fetcher(hand, total=30, ca_file=str(tmp_path / "server.pem"))
    with pytest.raises(DeadlineError):
        found.download_bytes(f"{encrypted.url}/x", 7)


def test_certificates_have_no_dates_for_a_clock_that_is_known_to_be_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, datetime.now(UTC) + timedelta(days=3650))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with Server(tmp_path, server_context(path)) as server:
        serve(server, ok)
        late, early = Hand(datetime(2099, 1, 1, tzinfo=UTC)), Hand(datetime(1970, 1, 1, tzinfo=UTC))
        floor = datetime(2026, 1, 1, tzinfo=UTC)
        with pytest.raises(CertificateError, match="is the clock right"):
            fetcher(late, floor=floor).download_bytes(f"{server.url}/x", 7)
        assert fetcher(early, floor=floor).download_bytes(f"{server.url}/x", 7) == b"content"
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(CertificateError):
            fetcher(early, floor=floor).download_bytes(f"{server.url}/x", 7)


def test_a_clock_that_was_set_meanwhile_counts_again(tmp_path: Path) -> None:
    path = certificate(tmp_path, datetime.now(UTC) + timedelta(days=3650))
    with Server(tmp_path, server_context(path)) as server:
        serve(server, ok)
        hand = Hand(datetime(1970, 1, 1, tzinfo=UTC))
        found = fetcher(hand, floor=datetime(2026, 1, 1, tzinfo=UTC), ca_file=str(path))
        assert found.download_bytes(f"{server.url}/x", 7) == b"content"
        hand.date = datetime(2026, 6, 1, tzinfo=UTC)
        found.close()
        with pytest.raises(CertificateError, match="is the clock right"):
            found.download_bytes(f"{server.url}/x", 7)


@pytest.mark.parametrize("written", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_of_authorities_that_is_none_asks_nobody(
    encrypted: Server, tmp_path: Path, written: bytes | None
) -> None:
    path = tmp_path / "authorities.pem"
    if written is not None:
        path.write_bytes(written)
    with pytest.raises(CaFileError, match=r"authorities\.pem: no certificates can be read from it"):
        fetcher(ca_file=str(path)).download_bytes(f"{encrypted.url}/x", 7)
    assert encrypted.requests == []


def test_a_name_with_many_dead_addresses_does_not_outlive_the_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand(tick=1)
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))
    alive = (*dead[:4], server.server_address)
    serve(server, ok)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead] * 3 + [alive])
    assert fetcher(hand).download_bytes("http://updates.example.com/x", 7) == b"content"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead] * 100_000)
    with pytest.raises(DeadlineError):
        fetcher(hand, total=50.0).download_bytes("http://updates.example.com/x", 7)


def test_one_deadline_holds_for_all_of_a_refresh_and_a_new_one_for_the_next(world: World, server: Server) -> None:
    """Each file alone is fast enough."""
    released = world.publish("1.0")
    hand = Hand()

    def late(handler: Handler) -> None:
        hand.seconds += 30
        handler.file()

    server.always = late
    machine = world.machine(server.url, fetcher=fetcher(hand, total=100.0))
    with pytest.raises(DeadlineError, match="not transferred within 100 seconds"):
        machine.refresh()
    assert len(server.requests) == 4
    # What had come is kept.
    assert [release.version for release in machine.refresh().releases] == ["1.0"]
    assert machine.read(released.index) == b"index of 1.0"
    assert hand.seconds > 200
