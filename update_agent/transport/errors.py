"""Errors of the transports: one class for each way in which a transfer can fail.

``retry`` says whether asking again can help: the network may come back, and the next answer may not pass the same broken proxy.
Where it is False the answer will be the same until somebody, or a newer update, changes something. None of them says anything
of a slot: a transport only reads.
"""

from __future__ import annotations

from typing import ClassVar

from update_agent.errors import UpdateError


class TransportError(UpdateError):
    """Base of all. ``after`` is the number of seconds for which the server asked not to be asked again, if it did.

    ``status`` is that of the answer, where it was one that says that there is nothing.
    """

    retry: ClassVar[bool] = False
    after: float | None = None
    status: int | None = None

    def __init__(self, shown: str, problem: str) -> None:
        super().__init__(f"{shown}: {problem}")
        self.shown, self.problem = shown, problem


class FileSourceError(TransportError):
    """A local file cannot be opened or read, or ends before the range does."""


class UrlError(TransportError):
    """It is no URL of http or https with a host and without a password."""


class NotReachedError(TransportError):
    """There is no connection: no address for the name, nobody who listens, no way, no answer to the handshake."""

    retry = True


class CertificateError(TransportError):
    """The server has no certificate that this machine trusts for its name, at this time."""


class CaFileError(TransportError):
    """The file of certificates that are to be trusted cannot be read, or holds none. Nobody was asked."""


class ProxyError(TransportError):
    """The proxy wants a password (407), refuses to connect, or is of a kind that is not supported."""


class LostError(TransportError):
    """The connection ended (reset, closed, cut) before the answer did. What had come is good."""

    retry = True


class TooSlowError(TransportError):
    """Fewer bytes came than the floor asks for, or none at all (a stall), in headers or in a body."""

    retry = True


class DeadlineError(TransportError):
    """The time that the whole transfer may take is over."""


class BadAnswerError(TransportError):
    """What came is no answer of HTTP, or its headers, chunks or trailers have no end."""

    retry = True


class RedirectError(TransportError):
    """It is redirected from https to http, to something that is no URL, or in circles. Not followed."""


class PortalError(TransportError):
    """A web page came where bulk data was asked for: a captive portal, or a proxy that explains itself."""

    retry = True


class NoRangesError(TransportError):
    """The server answered the question for a range with the whole file (200): it serves no ranges."""


class WrongRangeError(TransportError):
    """Another range came than was asked for (Content-Range)."""

    retry = True


class WrongLengthError(TransportError):
    """The range came with fewer or more bytes than it has."""

    retry = True


class EncodedError(TransportError):
    """Somebody on the way compressed the data (Content-Encoding), though that was forbidden."""

    retry = True


class ChangedError(TransportError):
    """It is not the file any more of which earlier ranges came: another ETag or another size."""


class ShorterError(TransportError):
    """The file ends before the range begins (416): it is not the file that the index describes."""


class MissingError(TransportError):
    """There is no such file (404, 410): it was pruned, or never published."""


class ForbiddenError(TransportError):
    """The server does not give the file to this machine (401, 403, 451)."""


class BusyError(TransportError):
    """The server is busy or broken for now (408, 425, 429, 5xx). ``after`` is its Retry-After."""

    retry = True

    def __init__(self, shown: str, problem: str, after: float | None = None) -> None:
        super().__init__(shown, problem)
        self.after = after


class StatusError(TransportError):
    """An answer with a status that has no meaning here."""


class TooMuchError(TransportError):
    """A small file is larger than it may be. What is beyond was not read."""
