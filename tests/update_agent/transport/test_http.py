"""Ranges from a web server: each thing that can go wrong has its error, and says whether asking again helps."""

from __future__ import annotations

import itertools
import random
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.update_agent.server import Fault, Request, Server, in_turn, serving
from update_agent.transport import errors
from update_agent.transport.address import Address, Proxy, environment_proxy
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline, Limits, RateLimit
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.transport.source import Source

CONTENT = random.Random(7).randbytes(300_001)
QUICK = Limits(connect=5, floor=1000, window=0.5)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving({"/blob": CONTENT}) as started:
        yield started


CLIENTS: list[HttpClient] = []


@pytest.fixture(autouse=True)
def clients_closed() -> Iterator[None]:
    """Each client of a test is closed after it; a connection that nobody owns any more is an error."""
    yield
    while CLIENTS:
        CLIENTS.pop().close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def client(seconds: float = 60, **options: object) -> HttpClient:
    context = options.pop("context", None)
    if context is not None:
        options["context"] = lambda: context
    CLIENTS.append(HttpClient(Deadline(seconds), **options))  # type: ignore[arg-type]
    return CLIENTS[-1]


def read(source: Source, offset: int, length: int) -> bytes:
    buffer = memoryview(bytearray(length + 10))
    with source.open(offset, length) as reader:
        return bytes(buffer[: read_exactly(reader, buffer)])


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 1), (0, len(CONTENT)), (1, 299_999), (len(CONTENT) - 1, 1), (65_535, 65_537)]
)
def test_a_range_is_what_the_file_has_there(server: Server, offset: int, length: int) -> None:
    assert read(HttpSource(client(), server.url()), offset, length) == CONTENT[offset : offset + length]


def test_ranges_share_a_connection_and_tell_the_size(server: Server) -> None:
    source = HttpSource(client(), server.url())
    assert source.size() == len(CONTENT)
    assert [read(source, offset, 10) for offset in (0, 50)] == [CONTENT[:10], CONTENT[50:60]]
    assert (source.size(), server.connections, len(server.requests)) == (len(CONTENT), 1, 3)
    assert {request.headers["accept-encoding"] for request in server.requests} == {"identity"}
    assert server.requests[-1].headers["if-range"].startswith('"')


def test_a_connection_that_the_server_closed_while_it_was_idle_is_no_failure(server: Server) -> None:
    source = HttpSource(client(), server.url())
    server.plan = in_turn(None, Fault("hang_up"))
    assert [read(source, offset, 10) for offset in (0, 50)] == [CONTENT[:10], CONTENT[50:60]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "error", "retry"),
    [
        (Fault("reset", at=100_000), errors.LostError, True),
        (Fault("reset", at=198_000), errors.LostError, True),
        (Fault("cut", at=199_999), errors.LostError, True),
        (Fault("cut", at=0), errors.LostError, True),
        (Fault("hang_up"), errors.LostError, True),
        (Fault("stall", at=0), errors.TooSlowError, True),
        (Fault("stall", at=100_000), errors.TooSlowError, True),
        (Fault("silence"), errors.TooSlowError, True),
        (Fault("drip", at=0), errors.TooSlowError, True),
        (Fault("drip_headers"), errors.TooSlowError, True),
        (Fault("endless_headers"), errors.BadAnswerError, True),
        (Fault("garbage"), errors.BadAnswerError, True),
        (Fault("whole"), errors.NoRangesError, False),
        (Fault("headers", headers={"Content-Range": "bytes 1-200000/300001"}), errors.WrongRangeError, True),
        (Fault("headers", headers={"Content-Range": "bytes 0-199998/300001"}), errors.WrongRangeError, True),
        (Fault("headers", headers={"Content-Range": "bytes all of it"}), errors.WrongRangeError, True),
        (Fault("headers", headers={"Content-Length": "199999"}), errors.WrongLengthError, True),
        (Fault("headers", headers={"Content-Length": "200001"}), errors.WrongLengthError, True),
        (Fault("chunked", at=-1), errors.WrongLengthError, True),
        (Fault("chunked", at=1), errors.WrongLengthError, True),
        (Fault("chunked_cut", at=5000), errors.LostError, True),
        (Fault("gzip"), errors.EncodedError, True),
        (Fault("portal"), errors.PortalError, True),
        (Fault("status", status=401), errors.ForbiddenError, False),
        (Fault("status", status=403), errors.ForbiddenError, False),
        (Fault("status", status=404), errors.MissingError, False),
        (Fault("status", status=407), errors.ProxyError, False),
        (Fault("status", status=410), errors.MissingError, False),
        (Fault("status", status=416), errors.ShorterError, False),
        (Fault("status", status=418), errors.StatusError, False),
        (Fault("status", status=429), errors.BusyError, True),
        (Fault("status", status=500), errors.BusyError, True),
        (Fault("status", status=503), errors.BusyError, True),
        (Fault("status", status=302), errors.RedirectError, False),
        (Fault("status", status=302, headers={"Location": "ftp://there/"}), errors.RedirectError, False),
    ],
    ids=lambda value: value.kind + str(value.status or value.at or "") if isinstance(value, Fault) else "",
)
def test_each_fault_is_told_apart(
    server: Server, fault: Fault, error: type[errors.TransportError], retry: bool
) -> None:
    server.plan = in_turn(fault)
    slow = error is errors.TooSlowError
    source = HttpSource(client(limits=QUICK if slow else Limits()), server.url())
    with pytest.raises(errors.TransportError) as caught:
        read(source, 0, 200_000)
    assert type(caught.value) is error
    assert caught.value.retry is retry
    assert str(caught.value).startswith(server.url())
    assert "\n" not in str(caught.value)
    if not slow:  # nothing of it sticks to the next request
        assert read(source, 5, 200_000) == CONTENT[5:200_005]


@pytest.mark.parametrize(("size", "connections"), [(100, 1), (16 << 10, 1), (100_000, 2)])
def test_a_connection_outlives_an_error_that_explains_itself_in_few_words(
    server: Server, size: int, connections: int
) -> None:
    server.files["/moved"] = b"x" * size
    server.plan = lambda request: Fault("moved") if request.target == "/moved" else None
    source = HttpSource(client(), server.url("/moved"))
    assert read(source, 3, 4) == CONTENT[3:7]
    assert (server.connections, server.requests[-1].target) == (connections, "/blob")


@pytest.mark.parametrize("kind", ["cut", "stall"])
def test_an_explanation_that_does_not_come_is_not_missed(server: Server, kind: str) -> None:
    server.plan = in_turn(Fault("status", status=404, at=1 if kind == "stall" else 0, headers={"Content-Length": "10"}))
    found = client(limits=QUICK)
    with pytest.raises(errors.MissingError):
        HttpSource(found, server.url()).size()
    assert HttpSource(found, server.url()).size() == len(CONTENT)


def test_a_file_that_is_shorter_than_the_range_is_found_out(server: Server) -> None:
    source = HttpSource(client(), server.url())
    with pytest.raises(errors.ShorterError):
        read(source, len(CONTENT), 1)
    with pytest.raises(errors.WrongRangeError):
        read(source, len(CONTENT) - 1, 2)


def test_a_file_that_is_pruned_in_the_middle_is_missing_at_once(server: Server) -> None:
    source = HttpSource(client(), server.url())
    assert read(source, 0, 10) == CONTENT[:10]
    del server.files["/blob"]
    with pytest.raises(errors.MissingError, match="404"):
        read(source, 10, 10)


@pytest.mark.parametrize("when", ["another range", "the whole file"])
def test_a_file_that_changes_meanwhile_is_noticed(server: Server, when: str) -> None:
    source = HttpSource(client(), server.url())
    read(source, 0, 10)
    server.files["/blob"] = CONTENT[::-1]
    if when == "another range":  # a server that knows nothing of If-Range
        server.plan = lambda _: Fault("headers", headers={"ETag": '"new"', "Content-Range": "bytes 0-9/300001"})
    with pytest.raises(errors.ChangedError, match="ETag"):
        read(source, 0, 10)


def test_a_file_that_changes_its_size_is_noticed_without_an_etag(server: Server) -> None:
    source = HttpSource(client(), server.url())
    server.plan = in_turn(
        Fault("headers", headers={"Content-Range": "bytes 0-9/300001", "ETag": ""}),
        Fault("headers", headers={"Content-Range": "bytes 0-9/300002", "ETag": ""}),
    )
    read(source, 0, 10)
    with pytest.raises(errors.ChangedError, match="size"):
        read(source, 0, 10)


@pytest.mark.parametrize(("kind", "error"), [("cut", errors.LostError), ("stall", errors.TooSlowError)])
def test_nothing_that_came_before_the_end_of_a_connection_is_lost(
    server: Server, kind: str, error: type[errors.TransportError]
) -> None:
    server.plan = in_turn(Fault(kind, at=150_000))
    got, buffer = b"", memoryview(bytearray(1 << 20))
    with HttpSource(client(limits=QUICK), server.url()).open(0, 200_000) as reader, pytest.raises(error):
        while True:
            got += bytes(buffer[: reader.readinto(buffer)])
    assert got == CONTENT[:150_000]


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("soon", None), ("-5", None), ("", None)])
def test_retry_after_is_told(server: Server, told: str, seconds: float | None) -> None:
    server.plan = in_turn(Fault("status", status=503, headers={"Retry-After": told}))
    with pytest.raises(errors.BusyError) as caught:
        read(HttpSource(client(), server.url()), 0, 10)
    assert caught.value.after == seconds


def test_a_date_in_retry_after_counts_from_the_servers_own_clock(server: Server) -> None:
    headers = {"Date": "Fri, 01 Jan 1999 00:00:00 GMT", "Retry-After": "Fri, 01 Jan 1999 00:02:00 GMT"}
    server.plan = in_turn(Fault("status", status=503, headers=headers))
    with pytest.raises(errors.BusyError) as caught:
        read(HttpSource(client(), server.url()), 0, 10)
    assert caught.value.after == 120


def test_the_deadline_ends_what_the_floor_lets_through(server: Server) -> None:
    server.plan = in_turn(Fault("drip", at=0))
    slow = HttpClient(Deadline(0.2), limits=Limits(5, 1, 60))
    with pytest.raises(errors.DeadlineError, match=r"within 0\.2 seconds"):
        read(HttpSource(slow, server.url()), 0, 10_000)


def test_who_does_not_listen_is_not_reached() -> None:
    with serving({}) as gone:
        url = gone.url()
    with pytest.raises(errors.NotReachedError, match="cannot be reached"):
        HttpSource(client(), url).size()
    with pytest.raises(errors.NotReachedError):
        HttpSource(client(), "http://no-such-host.invalid/x").size()


@pytest.mark.parametrize("url", ["ftp://a/b", "http:///x", "//a", "http://a:99999/", "http://u:secret@a/", "x\x00y"])
def test_what_is_no_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(errors.UrlError) as caught:
        HttpSource(client(), url).size()
    assert "secret" not in str(caught.value)


def test_redirects_are_followed_to_the_end_of_patience(server: Server) -> None:
    server.files["/a b/ä"] = b"other"
    source = HttpSource(client(), server.url("/moved"))
    moved = Fault("status", status=307, headers={"Location": "/blob#part"})
    server.plan = lambda request: moved if request.target == "/moved" else None
    assert read(source, 3, 4) == CONTENT[3:7]
    server.plan = lambda _: moved
    with pytest.raises(errors.RedirectError, match="more than 5 redirects"):
        read(source, 3, 4)


def test_a_small_file_comes_whole_or_not_at_all(server: Server) -> None:
    assert client().fetch(server.url(), len(CONTENT)) == CONTENT
    with pytest.raises(errors.TooMuchError):
        client().fetch(server.url(), len(CONTENT) - 1)
    with pytest.raises(errors.MissingError):
        client().fetch(server.url("/other"), 10)
    server.plan = lambda _: Fault("cut", at=10)
    with pytest.raises(errors.LostError):
        client().fetch(server.url(), len(CONTENT))


# Trust.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def contexts(authority: trustme.CA, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """That of a server of this name, and that of a client which trusts the authority."""
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(ours)
    authority.configure_trust(theirs)
    return ours, theirs


def test_https_is_read_from_those_only_whom_the_machine_trusts(authority: trustme.CA) -> None:
    ours, theirs = contexts(authority, "localhost")
    with serving({"/blob": CONTENT}, ours) as server:
        source = HttpSource(client(context=theirs), server.url(host="localhost"))
        assert read(source, 1, 250_000) == CONTENT[1:250_001]
        for url, context in ((server.url(), theirs), (server.url(host="localhost"), None)):
            with pytest.raises(errors.CertificateError, match="not trusted"):
                HttpSource(client(context=context), url).size()
        server.plan = lambda _: Fault("reset", at=100_000)
        with pytest.raises(errors.LostError):
            read(source, 1, 250_000)


def test_a_server_that_speaks_no_tls_is_not_asked_in_the_clear(server: Server, authority: trustme.CA) -> None:
    _, theirs = contexts(authority, "localhost")
    with pytest.raises(errors.NotReachedError, match="handshake"):
        HttpSource(client(context=theirs), server.url(host="localhost").replace("http:", "https:")).size()
    assert "GET" not in {request.method for request in server.requests}


def test_https_is_not_left_by_a_redirect(server: Server, authority: trustme.CA) -> None:
    ours, theirs = contexts(authority, "localhost")
    with serving({"/blob": CONTENT}, ours) as secure:
        source = HttpSource(client(context=theirs), secure.url(host="localhost"))
        secure.plan = lambda _: Fault("status", status=302, headers={"Location": server.url()})
        with pytest.raises(errors.RedirectError, match="from https to http://"):
            source.size()
        assert server.requests == []
        # The other way is one to more safety.
        server.plan = lambda _: Fault("status", status=302, headers={"Location": secure.url(host="localhost")})
        secure.plan = lambda _: None
        assert HttpSource(client(context=theirs), server.url()).size() == len(CONTENT)


# Proxies.


def test_a_proxy_is_asked_in_place_of_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url("").replace("http://", "http://user:p%40ss@"))
    assert read(HttpSource(client(), "http://far.invalid/blob"), 5, 5) == CONTENT[5:10]
    (request,) = server.requests
    assert (request.target, request.headers["host"]) == ("http://far.invalid/blob", "far.invalid")
    assert request.headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"
    monkeypatch.setenv("no_proxy", "far.invalid")
    with pytest.raises(errors.NotReachedError):
        HttpSource(client(), "http://far.invalid/blob").size()


def test_a_tunnel_through_a_proxy_shows_it_nothing(server: Server, authority: trustme.CA) -> None:
    ours, theirs = contexts(authority, "localhost")
    with serving({"/blob": CONTENT}, ours) as secure:
        through = client(context=theirs, proxy=lambda _: server.url("").replace("//", "//user:secret@"))
        source = HttpSource(through, secure.url(host="localhost"))
        assert read(source, 1, 250_000) == CONTENT[1:250_001]
        assert [request.method for request in server.requests] == ["CONNECT"]
        assert "proxy-authorization" not in secure.requests[0].headers


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("status", status=407), errors.ProxyError),
        (Fault("status", status=502), errors.ProxyError),
        (Fault("hang_up"), errors.ProxyError),
        (Fault("garbage"), errors.ProxyError),
        (Fault("drip_headers"), errors.TooSlowError),
    ],
)
def test_a_proxy_that_does_not_connect_is_named(
    server: Server, fault: Fault, error: type[errors.TransportError]
) -> None:
    server.plan = lambda _: fault
    limits = QUICK if error is errors.TooSlowError else Limits()
    through = client(limits=limits, proxy=lambda _: server.url("").replace("//", "//user:secret@"))
    with pytest.raises(error) as caught:
        HttpSource(through, "https://far.invalid/blob").size()
    assert "secret" not in str(caught.value)


def test_a_kind_of_proxy_that_is_not_supported_is_refused_without_its_password() -> None:
    with pytest.raises(errors.ProxyError, match=r"^here:1080: only proxies") as caught:
        Proxy.parse("socks5://user:secret@here:1080")
    assert "secret" not in str(caught.value)
    assert Proxy.parse("here:8080") == Proxy("here", 8080, "")


def test_the_environment_names_proxies_as_for_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "http://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://secure:2")
    monkeypatch.setenv("no_proxy", "inside.example,10.0.0.1")
    found = [
        environment_proxy(Address.parse(url))
        for url in ("http://a/", "https://a/", "https://x.inside.example/", "http://10.0.0.1:8080/")
    ]
    assert found == ["http://all:1", "http://secure:2", None, None]


def test_the_rate_limit_holds_over_a_whole_transfer(server: Server) -> None:
    now = itertools.count()
    slept: list[float] = []
    clock = lambda: 1000.0 + sum(slept) + next(now) * 1e-9  # noqa: E731
    limited = client(rate=RateLimit(50_000, clock, slept.append))
    assert read(HttpSource(limited, server.url()), 0, 250_000) == CONTENT[:250_000]
    assert 4.7 < sum(slept) < 5.3  # 250 kB at 50 kB/s


def test_a_request_is_not_split_by_what_a_url_has_in_it(server: Server) -> None:
    with pytest.raises(errors.MissingError):
        HttpSource(client(), server.url("/a b\r\nX-Evil: 1/ä?q=\x7f")).size()
    (request,) = server.requests
    assert "x-evil" not in request.headers
    assert isinstance(request, Request)
