"""One answer of a web server: what its status means, and its body."""

from __future__ import annotations

from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING

from update_agent.transport import errors

if TYPE_CHECKING:
    from http.client import HTTPResponse

    from update_agent.transport.connection import Stream

_STATUS: dict[int, tuple[type[errors.TransportError], str]] = {
    401: (errors.ForbiddenError, "the server wants a login"),
    403: (errors.ForbiddenError, "the server does not give it out"),
    404: (errors.MissingError, "the server has no such file"),
    407: (errors.ProxyError, "the proxy wants a password"),
    410: (errors.MissingError, "the server has no such file any more"),
    416: (errors.ShorterError, "the file on the server ends before the range that is needed"),
    451: (errors.ForbiddenError, "the server does not give it out"),
}
_BUSY = {408, 425, 429}
_EXPLANATION = 16 << 10
"""Bytes that are rather read than a new connection made."""


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, url: str, response: HTTPResponse, stream: Stream) -> None:
        self.url, self.status, self._response, self._stream = url, response.status, response, stream

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        return self._response.getheader(name)

    def number(self, name: str) -> int | None:
        """The value of a header that is a number of bytes or seconds, or None."""
        text = self.header(name) or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None

    def require(self, status: int) -> None:
        """Raise the error for another status, and EncodedError where somebody compressed the body."""
        if self.status != status:
            raise self._unwanted()
        encoding = (self.header("Content-Encoding") or "").strip().lower() or "identity"
        if encoding != "identity":
            raise errors.EncodedError(self.url, f"it comes compressed on the way (Content-Encoding: {encoding!r:.40})")

    def _unwanted(self) -> errors.TransportError:
        said = f"{self.status} {self._response.reason!r:.80}"
        if self.status >= 500 or self.status in _BUSY:
            return self._busy(said)
        kind, problem = _STATUS.get(self.status, (errors.StatusError, "an answer without a meaning here"))
        error = kind(self.url, f"{problem} ({said})")
        error.status = self.status
        return error

    def _busy(self, said: str) -> errors.BusyError:
        after = self._retry_after()
        asks = "" if after is None else f"; it asks to come back in {after:.0f} s"
        return errors.BusyError(self.url, f"the server cannot serve it now ({said}){asks}", after)

    def _retry_after(self) -> float | None:
        """Seconds. A date counts from the server's own: this machine's clock may be anywhere."""
        seconds = self.number("Retry-After")
        if seconds is not None:
            return float(seconds)
        try:
            until = parsedate_to_datetime(self.header("Retry-After") or "")
            now = parsedate_to_datetime(self.header("Date") or "")
            return max(0.0, (until - now).total_seconds())
        except (TypeError, ValueError, IndexError, OverflowError):
            return None

    @property
    def finished(self) -> bool:
        """Whether the body was read to its end, and the connection can carry another request."""
        return self._response.isclosed() and not self._response.will_close and self._stream.error is None

    def drain(self) -> bool:
        """Read the few bytes in which a redirect or an error explains itself: whether the connection can carry another request then."""
        if self.status < 300 or self._response.length not in range(_EXPLANATION + 1):
            return False
        with suppress(errors.TransportError):
            while self.readinto(memoryview(bytearray(_EXPLANATION))):
                pass
        return self.finished

    def readinto(self, buffer: memoryview, /) -> int:
        """The body; 0 at its end. Raises LostError where it ends before the length that it was said to have."""
        if not len(buffer):
            return 0
        left = self._response.length
        try:
            count = self._response.readinto(buffer)
        except IncompleteRead as error:
            if error.partial:  # in the buffer already, and good; the next call says what happened
                return len(error.partial)
            raise self._cut() from error
        except (HTTPException, ValueError) as error:
            if self._stream.error is not None:
                raise self._stream.error from error
            raise errors.BadAnswerError(self.url, f"this is no body of HTTP: {error!r:.200}") from error
        if not count and (left or self._stream.error is not None):
            raise self._cut()
        return count

    def _cut(self) -> errors.TransportError:
        return self._stream.error or errors.LostError(self.url, "the connection was closed in the middle")

    def close(self) -> None:
        """The answer is not read any more."""
        self._response.close()
