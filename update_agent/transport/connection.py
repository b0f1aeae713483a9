"""A connection whose every wait is watched: with headers as with bodies, nobody holds it longer than the floor allows.

http.client reads headers through a file over the socket, and a server that drips them would hold it for as long as it likes. So
that file is ours.
"""

from __future__ import annotations

import io
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast

from update_agent.transport.errors import (
    BadAnswerError,
    CertificateError,
    LostError,
    NotReachedError,
    ProxyError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.transport.address import Address, Proxy
    from update_agent.transport.pace import Clock, Floor, Limits, RateLimit

_BUFFER = 64 << 10
"""Bytes that headers are read ahead with; larger reads go past the buffer."""
_HEADERS = 1 << 20
"""Bytes that headers, interim answers and trailers may have in all: http.client limits each, but not how many there are."""
_CHUNKED = 6
"""Bytes on the line that one byte of a body may take: as a chunk of its own, ``1\\r\\nx\\r\\n``."""
# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_DATES = {9, 10}


class Stream(io.RawIOBase):
    """What comes over a socket. An error ends it like a file, and is raised by the next read, so that no byte before it is lost."""

    def __init__(self, sock: socket.socket, floor: Floor, clock: Clock, rate: RateLimit | None) -> None:
        super().__init__()
        self._sock, self._floor, self._clock, self._rate = sock, floor, clock, rate
        self._left = _HEADERS
        self.error: TransportError | None = None
        self.shown = ""

    def expect(self, most: int) -> None:
        """The headers are there; a body of ``most`` bytes may follow."""
        self._left = _CHUNKED * most + _HEADERS

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """As a raw file does. Raises the TransportError that ended it, when it is read again."""
        if self.error is not None:
            raise self.error
        wanted = buffer if self._rate is None else buffer[: self._rate.portion]
        try:
            count = self._receive(wanted)
        except TransportError as error:
            self.error = error
            return 0
        if self._rate is not None:
            self._rate.take(count)
        return count

    def _receive(self, buffer: memoryview) -> int:
        self._sock.settimeout(self._floor.patience())
        since = self._clock()
        try:
            count = self._sock.recv_into(buffer)
        except TimeoutError as error:
            self._floor.waited(since, 0)
            raise self._floor.starved() from error
        except OSError as error:  # ssl.SSLError is one
            raise LostError(self.shown, f"the connection was lost: {error.strerror or error}") from error
        self._floor.waited(since, count)
        self._left -= count
        if self._left < 0:
            raise BadAnswerError(self.shown, "it does not end: more bytes came than such an answer can have")
        return count


class _Socket:
    """What http.client needs of a socket; it reads through the stream."""

    def __init__(self, sock: socket.socket, stream: Callable[[], Stream]) -> None:
        self._sock, self._stream = sock, stream

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._stream(), _BUFFER)

    def sendall(self, data: bytes) -> None:
        self._sock.sendall(data)

    def close(self) -> None:
        """Nothing: http.client closes before the body is read where the server will, and the connection owns the socket."""


class Connection:
    """One connection to a server, or to the proxy before it. Requests go over it one after the other."""

    def __init__(
        self,
        address: Address,
        proxy: Proxy | None,
        limits: Limits,
        context: Callable[[], ssl.SSLContext],
        clock: Clock,
        rate: RateLimit | None,
    ) -> None:
        self.key = (address.scheme, address.host, address.port)
        self._address, self._proxy, self._limits, self._context = address, proxy, limits, context
        self._clock, self._rate = clock, rate
        self._sock: socket.socket | None = None
        self.used = False
        """Whether an answer came over it: the server may have closed it since, which is no failure."""

    def connect(self, floor: Floor) -> None:
        """Raises NotReachedError, CertificateError, CaFileError, ProxyError, and what the floor raises."""
        address, proxy = self._address, self._proxy
        sock = (
            self._dialled(proxy.host, proxy.port, floor) if proxy else self._dialled(address.host, address.port, floor)
        )
        try:
            if address.scheme == "https":
                if proxy is not None:
                    self._tunnel(sock, proxy, floor)
                sock.settimeout(min(self._limits.connect, floor.patience()))
                sock = self._secured(sock)
        except ssl.SSLCertVerificationError as error:
            sock.close()
            hint = "; is the clock right?" if error.verify_code in _DATES else ""
            raise CertificateError(address.url, f"the server is not trusted: {error.verify_message}{hint}") from error
        except OSError as error:
            sock.close()
            raise NotReachedError(address.url, f"the handshake failed: {error.strerror or error}") from error
        except BaseException:
            sock.close()
            raise
        self._sock = sock

    def _dialled(self, host: str, port: int, floor: Floor) -> socket.socket:
        """Not socket.create_connection: a name may have so many dead addresses that the deadline would be forgotten over them."""
        problem: OSError | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            found, problem = [], error
        for family, kind, protocol, _, place in found:
            patience = min(self._limits.connect, floor.patience())
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # a machine without IPv6
                problem = error
                continue
            try:
                sock.settimeout(patience)
                sock.connect(place)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        reason = "it has no address" if problem is None else problem.strerror or str(problem)
        raise NotReachedError(self._address.url, f"{host} port {port} cannot be reached: {reason}") from problem

    def _secured(self, sock: socket.socket) -> ssl.SSLSocket:
        return self._context().wrap_socket(sock, server_hostname=self._address.host)

    def _tunnel(self, sock: socket.socket, proxy: Proxy, floor: Floor) -> None:
        address = self._address
        host = f"[{address.host}]" if ":" in address.host else address.host
        place = f"{host}:{address.port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        sock.settimeout(floor.patience())
        sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        stream = Stream(sock, floor, self._clock, None)
        stream.shown = address.url
        response = HTTPResponse(cast("socket.socket", _Socket(sock, lambda: stream)), method="CONNECT")
        try:
            response.begin()
        except (HTTPException, OSError, ValueError) as error:
            raise stream.error or ProxyError(address.url, f"the proxy {proxy.host} gave no answer: {error}") from error
        if response.status != 200:
            raise ProxyError(
                address.url, f"the proxy {proxy.host} does not connect: {response.status} {response.reason}"
            )

    def ask(
        self, target: str, headers: dict[str, str], body: bytes | None, most: int, floor: Floor
    ) -> tuple[HTTPResponse, Stream]:
        """Send a GET, or a POST where there is a ``body``, and read the headers of the answer, whose body may have ``most`` bytes.

        Raises LostError, BadAnswerError, HTTPException, and what the floor raises.
        """
        sock = self._sock
        if sock is None:
            raise NotReachedError(self._address.url, "the connection is closed")
        stream = Stream(sock, floor, self._clock, self._rate)
        stream.shown = self._address.url
        http = HTTPConnection(self._address.host, self._address.port)
        http.sock = _Socket(sock, lambda: stream)
        sock.settimeout(floor.patience())
        try:
            http.request("GET" if body is None else "POST", target, body, headers)
            response = http.getresponse()
        except (HTTPException, OSError, TransportError) as error:
            if stream.error is not None:
                raise stream.error from error
            if isinstance(error, OSError) and not isinstance(error, HTTPException):
                raise LostError(self._address.url, f"the connection was lost: {error.strerror or error}") from error
            raise
        stream.expect(most)
        return response, stream

    def close(self) -> None:
        """Close it; a second time too."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
