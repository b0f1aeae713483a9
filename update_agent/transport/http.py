"""Web servers as sources: ranges over http.client, and small files whole.

http.client because every wait of it can be watched, in headers too, and because it reads into our buffer, so that nothing that came
before an error is lost. What it does not do is here and in ``connection`` and ``address``: proxies, redirects, floors and
deadlines, and a judgement of each answer.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException, RemoteDisconnected
from typing import TYPE_CHECKING

from update_agent import __version__
from update_agent.transport import errors
from update_agent.transport.address import Address, Proxy, environment_proxy
from update_agent.transport.answer import Answer
from update_agent.transport.connection import Connection
from update_agent.transport.pace import Deadline, Floor, Limits, RateLimit
from update_agent.transport.trust import Trust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from update_agent.transport.address import ProxyOf
    from update_agent.transport.pace import Clock

_REDIRECTS = {301, 302, 303, 307, 308}
_SEE_OTHER = 303
_MOST_REDIRECTS = 5
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.IGNORECASE)


class HttpClient:
    """Asks web servers, over one connection where it can. Not for several threads. Use it as a context manager, or close it.

    ``context`` says whom to trust, and is asked for each encrypted connection. ``deadline`` holds for every request that is given none.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        limits: Limits | None = None,
        rate: RateLimit | None = None,
        proxy: ProxyOf = environment_proxy,
        context: Callable[[], ssl.SSLContext] | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.deadline, self._limits, self._rate, self._clock = deadline, limits or Limits(), rate, clock
        self._proxy, self._context = proxy, context or Trust().context
        self._headers = {"User-Agent": f"slotboot/{__version__}", **(headers or {})}
        self._idle: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection that was kept."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    @contextmanager
    def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, most: int, deadline: Deadline | None = None
    ) -> Iterator[Answer]:
        """The answer to a GET, redirects followed, whatever its status; its body is not read far beyond ``most`` bytes.

        Raises a TransportError.
        """
        with self._asking(_Question(headers or {}, None, most, deadline or self.deadline), url) as answer:
            yield answer

    def post(self, url: str, body: bytes, kind: str, largest: int) -> bytes:
        """What a POST of ``body``, which is of the ``kind`` of Content-Type, is answered with, whole. Raises as ``fetch``.

        It may do something at the server: no connection that was kept is used, whose end could mean that it came or not. A redirect
        that would make a GET of it is not followed.
        """
        question = _Question({"Content-Type": kind}, body, largest, self.deadline)
        with self._asking(question, url) as answer:
            return _whole(answer, url, largest)

    @contextmanager
    def _asking(self, question: _Question, url: str) -> Iterator[Answer]:
        address, wanted = Address.parse(url), {**self._headers, **question.headers}
        # Compressed on the way, ranges and lengths would be those of something else.
        wanted |= {"Accept-Encoding": "identity", "Cache-Control": "no-transform"}
        question = replace(question, headers=wanted)
        for _ in range(_MOST_REDIRECTS + 1):
            connection, answer = self._ask(address, question)
            try:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                if answer.status == _SEE_OTHER and question.body is not None:
                    raise errors.RedirectError(address.url, "what was posted is redirected to a page (303)")
                address = address.redirected(answer.header("Location"))
            finally:
                finished = answer.finished or answer.drain()
                answer.close()
                if finished and self._idle is None:
                    self._idle = connection
                else:
                    connection.close()
        raise errors.RedirectError(url, f"more than {_MOST_REDIRECTS} redirects")

    def _ask(self, address: Address, question: _Question) -> tuple[Connection, Answer]:
        proxy_url = self._proxy(address)
        proxy = Proxy.parse(proxy_url) if proxy_url else None
        target = address.target
        headers = {"Host": address.netloc, **question.headers}
        if proxy is not None and address.scheme == "http":
            target = address.url
            if proxy.authorization:
                headers["Proxy-Authorization"] = proxy.authorization
        while True:
            floor = Floor(address.url, self._limits, question.deadline, self._clock)
            connection = self._connected(address, proxy, floor, anew=question.body is not None)
            try:
                response, stream = connection.ask(target, headers, question.body, question.most, floor)
            except (errors.LostError, RemoteDisconnected) as error:
                connection.close()
                if connection.used:
                    continue  # the server closed it while it was idle; the next one is new
                raise errors.LostError(address.url, f"the server closed without an answer: {error}") from error
            except (HTTPException, ValueError) as error:
                connection.close()
                raise errors.BadAnswerError(address.url, f"this is no answer of HTTP: {error!r:.200}") from error
            except BaseException:
                connection.close()
                raise
            connection.used = True
            return connection, Answer(address.url, response, stream)

    def _connected(self, address: Address, proxy: Proxy | None, floor: Floor, *, anew: bool) -> Connection:
        kept, self._idle = self._idle, None
        if kept is not None:
            if kept.key == (address.scheme, address.host, address.port) and not anew:
                return kept
            kept.close()
        connection = Connection(address, proxy, self._limits, self._context, self._clock, self._rate)
        connection.connect(floor)
        return connection

    def fetch(self, url: str, largest: int) -> bytes:
        """A small file, whole. Raises a TransportError: TooMuchError where it has more than ``largest`` bytes."""
        with self.get(url, most=largest) as answer:
            return _whole(answer, url, largest)


@dataclass(frozen=True)
class _Question:
    """``body``: that of a POST, or None for a GET. The body of the answer is not read far beyond ``most`` bytes."""

    headers: Mapping[str, str]
    body: bytes | None
    most: int
    deadline: Deadline


def _whole(answer: Answer, url: str, largest: int) -> bytes:
    answer.require(200)
    data = bytearray()
    while max(len(data), answer.number("Content-Length") or 0) <= largest:
        piece = memoryview(bytearray(min(64 << 10, largest + 1 - len(data))))
        count = answer.readinto(piece)
        if not count:
            return bytes(data)
        data += piece[:count]
    raise errors.TooMuchError(url, f"it has more than the {largest} bytes that it may have")


@dataclass
class _Known:
    """What the first answer said of the file; a later one that says something else is about another file."""

    size: int | None = None
    etag: str | None = None


class HttpSource:
    """One URL, of which ranges are asked for. The first answer is remembered: a file that changes under way is noticed.

    ``deadline`` is that of the client where none is given.
    """

    def __init__(self, client: HttpClient, url: str, deadline: Deadline | None = None) -> None:
        self._client, self.shown, self._deadline, self._known = client, url, deadline, _Known()

    def size(self) -> int:
        """Bytes in all, from an answer that has been, or from one for a single byte. Raises a TransportError."""
        if self._known.size is None:
            with self.open(0, 1) as reader:
                reader.readinto(memoryview(bytearray(1)))
        if self._known.size is None:
            raise errors.WrongRangeError(self.shown, "the server does not say how large the file is (Content-Range)")
        return self._known.size

    @contextmanager
    def open(self, offset: int, length: int) -> Iterator[RangeReader]:
        """A range. Raises a TransportError; the docstrings of ``errors`` say when."""
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        if self._known.etag is not None and not self._known.etag.startswith("W/"):
            headers["If-Range"] = self._known.etag
        with self._client.get(self.shown, headers, most=length, deadline=self._deadline) as answer:
            self._judge(answer, offset, length)
            yield RangeReader(answer, length)

    def _judge(self, answer: Answer, offset: int, length: int) -> None:
        if answer.status == 200:
            raise self._whole(answer)
        answer.require(206)
        found = _CONTENT_RANGE.fullmatch((answer.header("Content-Range") or "").strip())
        if found is None or (int(found[1]), int(found[2])) != (offset, offset + length - 1):
            raise errors.WrongRangeError(
                self.shown,
                f"bytes {offset}-{offset + length - 1} were asked for, and {answer.header('Content-Range')!r:.80} came",
            )
        told = answer.number("Content-Length")
        if told is not None and told != length:
            raise errors.WrongLengthError(self.shown, f"{length} bytes were asked for, and {told} come")
        self._same_file(answer.header("ETag"), None if found[3] == "*" else int(found[3]))

    def _whole(self, answer: Answer) -> errors.TransportError:
        """What it means that an answer is no range."""
        kind = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
        if kind in {"text/html", "application/xhtml+xml"}:
            return errors.PortalError(
                self.shown, "a web page came in place of data: is there a portal where one has to log in?"
            )
        etag = answer.header("ETag")
        if self._known.etag is not None and etag != self._known.etag:
            return errors.ChangedError(
                self.shown, f"it changed on the server: ETag {etag!r:.80}, and it was {self._known.etag!r:.80}"
            )
        return errors.NoRangesError(self.shown, "the server sends the whole file where a range was asked for (200)")

    def _same_file(self, etag: str | None, size: int | None) -> None:
        known = self._known
        for what, old, new in (("ETag", known.etag, etag), ("size", known.size, size)):
            if old is not None and new is not None and old != new:
                raise errors.ChangedError(
                    self.shown, f"it changed on the server: {what} {new!r:.80}, and it was {old!r:.80}"
                )
        self._known = _Known(size if known.size is None else known.size, known.etag or etag)


class RangeReader:
    """The body of an answer that has to have ``length`` bytes, neither more nor less."""

    def __init__(self, answer: Answer, length: int) -> None:
        self._answer, self._length, self._left = answer, length, length

    def readinto(self, buffer: memoryview, /) -> int:
        """See ``Reader``. Raises WrongLengthError, LostError, TooSlowError and DeadlineError."""
        if not self._left:
            return 0
        count = self._answer.readinto(buffer[: self._left])
        if not count:
            raise errors.WrongLengthError(
                self._answer.url, f"{self._length - self._left} bytes came of a range of {self._length}"
            )
        self._left -= count
        if not self._left and self._answer.readinto(memoryview(bytearray(1))):
            raise errors.WrongLengthError(
                self._answer.url, f"more bytes came than the {self._length} that were asked for"
            )
        return count
