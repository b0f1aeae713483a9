"""A client of etcd v3 over its JSON gateway: several endpoints, TLS, a user, and answers that stay away.

A read goes on to the next endpoint. A change whose answer stays away is never repeated here: who asked for it looks first.
"""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    SSLError,
)

from update_agent.lock import wire
from update_agent.lock.answers import BusyError, LogInError, read_answer
from update_agent.lock.errors import (
    EndpointError,
    LeaseGoneError,
    LockAmbiguousError,
    LockDeniedError,
    LockRefusedError,
    LockUnreachableError,
)
from update_agent.lock.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.lock.wire import Json, Txn

CONNECT = 3.0
"""Seconds for a connection."""
READ = 8.0
"""Seconds for an answer: a member that cannot reach the others answers after 7."""
DEADLINE = 40.0
"""Seconds for a question to all endpoints."""
_NOT_SENT = (ConnectTimeoutError, NewConnectionError, NameResolutionError, ProxyError, SSLError)
_LARGEST = 64 << 20
_HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Access:
    """How the cluster is reached: base addresses of the endpoints, certificates, and a user with a password where it has any."""

    endpoints: tuple[str, ...]
    tls: Tls = field(default_factory=Tls)
    user: str = ""
    password: str = ""


def endpoints_of(text: str) -> tuple[str, ...]:
    """The addresses in a text, separated by commas. Raises EndpointError."""
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        parts = urlsplit(word)
        try:
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.username is not None or parts.query or parts.fragment:
            raise EndpointError(word.rpartition("@")[2], "no endpoint of etcd")
        found.append(word.rstrip("/"))
    return tuple(dict.fromkeys(found))


class Etcd:
    """The cluster as one thing. Threads may share it. Raises LockCertificateError."""

    def __init__(
        self,
        access: Access,
        *,
        read: float = READ,
        deadline: float = DEADLINE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoints = access.endpoints
        self._access, self._read, self._deadline, self._clock = access, read, deadline, clock
        secure = any(endpoint.startswith("https:") for endpoint in access.endpoints)
        context = access.tls.context() if secure else None
        self._pools = urllib3.PoolManager(maxsize=8, ssl_context=context, retries=False)
        self._lock = threading.Lock()
        self._first, self._token = 0, ""

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()

    def change(self, compare: list[Json], success: list[Json], failure: list[Json] | None = None) -> Txn:
        """A transaction that may write.

        Raises LockAmbiguousError where it may have been, or may still be, carried out; after other errors it was not.
        """
        return self._txn(wire.transaction(compare, success, failure), changes=True)

    def look(self, *gets: Json) -> Txn:
        """Reads in one moment, and no older than the call."""
        return self._txn(wire.read_only(*gets), changes=False)

    def look_at_any(self, *gets: Json) -> Txn:
        """Reads of one member, whatever it knows of the others: they may be old."""
        return self._txn(wire.read_only(*gets, serializable=True), changes=False)

    def grant(self, seconds: int) -> int:
        """A lease. One whose answer stays away ends by itself. Raises LockAmbiguousError as a change."""
        return int(self._call("/v3/lease/grant", {"TTL": str(seconds)}, changes=True)["ID"])

    def keep_alive(self, lease: int) -> None:
        """Begin its time anew. Raises LeaseGoneError where it has ended."""
        answer = self._call("/v3/lease/keepalive", {"ID": str(lease)}, changes=False)
        if int(answer.get("TTL", 0)) <= 0:
            raise LeaseGoneError(self.endpoints[self._first], "the lease has ended")

    def wait_for_change(self, keys: list[str], revision: int, seconds: float) -> bool:
        """Wait until one of the keys changes in this revision or a later one, at most so long. False: it may have, or not."""
        endpoint = self.endpoints[self._first]
        timeout = urllib3.Timeout(connect=CONNECT, read=max(seconds, 0.001))
        end = self._clock() + seconds
        try:
            answer = self._pools.request(
                "POST",
                f"{endpoint}/v3/watch",
                body=wire.watch(keys, revision),
                headers=self._headers(),
                timeout=timeout,
                preload_content=False,
            )
            try:
                return any(b'"events"' in line or b'"canceled"' in line for line in _lines(answer, self._clock, end))
            finally:
                answer.close()
        except (HTTPError, OSError):
            return False

    def _txn(self, body: Json, *, changes: bool) -> Txn:
        answer = self._call("/v3/kv/txn", body, changes=changes)
        try:
            return wire.txn_of(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            endpoint = self.endpoints[self._first]
            raise LockRefusedError(endpoint, f"its answer is none to a transaction: {error!r}") from error

    def _call(self, path: str, body: Json, *, changes: bool) -> Json:
        """The answer of the first endpoint that can give one."""
        problems: dict[str, str] = {}
        end = self._clock() + self._deadline
        first, many = self._first, len(self.endpoints)
        for place in ((first + number) % many for number in range(many)):
            endpoint = self.endpoints[place]
            try:
                answer = self._ask(endpoint, path, body, end)
            except _NOT_SENT as error:
                problems[endpoint] = words_of(error)
            except (HTTPError, BusyError, OSError) as error:
                self._first = (place + 1) % len(self.endpoints)
                if changes:
                    raise LockAmbiguousError(endpoint, words_of(error)) from error
                problems[endpoint] = words_of(error)
            else:
                self._first = place
                return answer
            if self._clock() >= end:
                break
        raise LockUnreachableError(problems)

    def _ask(self, endpoint: str, path: str, body: Json, end: float) -> Json:
        """Ask one endpoint; with a new token where the one at hand is none any more. That a token is refused is no change."""
        if self._access.user and not self._token:
            self._log_in(endpoint, end, "")
        token = self._token
        try:
            return self._post(endpoint, path, body, end)
        except LogInError as error:
            if not self._access.user:
                raise LockDeniedError(endpoint, str(error), "set locksmith.etcd-username and its password") from error
        self._log_in(endpoint, end, token)
        try:
            return self._post(endpoint, path, body, end)
        except LogInError as error:
            raise LockDeniedError(endpoint, str(error), "a new token is not taken either") from error

    def _log_in(self, endpoint: str, end: float, old: str) -> None:
        """A new token, unless another thread has one already; none where authentication is off."""
        with self._lock:
            if self._token != old:
                return
            who = {"name": self._access.user, "password": self._access.password}
            self._token = ""
            try:
                self._token = str(self._post(endpoint, "/v3/auth/authenticate", who, end)["token"])
            except LockRefusedError as error:
                if "authentication is not enabled" not in error.message:
                    raise
            except (LogInError, KeyError) as error:
                raise LockDeniedError(
                    endpoint, str(error), "no token was given for the user and the password"
                ) from error

    def _post(self, endpoint: str, path: str, body: Json, end: float) -> Json:
        left = max(end - self._clock(), 0.1)
        answer = self._pools.request(
            "POST",
            endpoint + path,
            body=json.dumps(body).encode(),
            headers=self._headers(),
            timeout=urllib3.Timeout(connect=min(CONNECT, left), read=min(self._read, left)),
            redirect=False,
        )
        return read_answer(endpoint, answer.status, answer.data, self._access.tls.certificate, self._access.user)

    def _headers(self) -> dict[str, str]:
        return _HEADERS | ({"Authorization": self._token} if self._token else {})


def _lines(answer: urllib3.BaseHTTPResponse, clock: Callable[[], float], end: float) -> Iterator[bytes]:
    """The lines of a stream as they come, until the time is over."""
    rest = b""
    for piece in answer.stream(1 << 16):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if clock() >= end or len(rest) > _LARGEST:
            return


def words_of(error: Exception) -> str:
    """An error of the network without the objects that urllib3 shows in it."""
    return re.sub(r"^.*?\)>?: ", "", str(error)) or type(error).__name__
