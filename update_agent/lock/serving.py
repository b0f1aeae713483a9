"""A FleetLock server on the lock of our own machines, so that they and Zincati's share one."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import LockError, LockUnreachableError
from update_agent.lock.fleetlock import HEADER, PRE_REBOOT, STEADY_STATE, Identity, is_group
from update_agent.lock.group import Group
from update_agent.lock.metrics import metrics_of
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from update_agent.lock.etcd import Etcd

TICKET = timedelta(minutes=20)
"""Zincati asks again after about five minutes."""
_LARGEST = 64 << 10
_SLOW = 20.0
"""Seconds that a client may be silent."""
_AT_ONCE = 64
"""Requests that are worked on at the same time; more wait for their turn."""


@dataclass(frozen=True)
class Answer:
    """Status, and the kind and value of an error."""

    status: int
    kind: str = ""
    value: str = ""


class Service:
    """What is answered. ``groups``: name in the protocol -> name of the lock's group. ``kinds``: whose words errors have."""

    def __init__(self, etcd: Etcd, groups: Mapping[str, str], kinds: str = "airlock") -> None:
        self._etcd, self._groups, self._kinds = etcd, dict(groups), kinds

    def answer(self, path: str, header: str | None, body: bytes) -> Answer:
        """The answer to a POST."""
        if path not in (PRE_REBOOT, STEADY_STATE):
            return Answer(404, "not_found", f"no such path; expected {PRE_REBOOT} or {STEADY_STATE}")
        try:
            identity = _identity(header, body)
        except ValueError as error:
            return Answer(400, "invalid_client_identity", f"failed to validate client identity: {error}")
        if identity.group not in self._groups:
            return Answer(400, "unknown_group", f'unknown group "{identity.group}"')
        lock = EtcdLock(self._etcd, self._groups[identity.group], identity.id, ticket=TICKET)
        try:
            return self._ask(path, lock)
        except LockUnreachableError as error:
            return Answer(500, "failed_sem_init", str(error))
        except LockError as error:
            return Answer(500, "failed_lock", str(error))

    def metrics(self) -> str:
        """All groups, in the format of Prometheus. Raises LockError."""
        return metrics_of({name: Group(self._etcd, group).view() for name, group in self._groups.items()})

    def _ask(self, path: str, lock: EtcdLock) -> Answer:
        if path == STEADY_STATE:
            lock.release()
            return Answer(200)
        found = lock.acquire("")
        if isinstance(found, Held):
            return Answer(200)
        return self._wait(found)

    def _wait(self, found: Waiting) -> Answer:
        told = f"all places are taken; {found.ahead} machines wait before this one"
        if self._kinds == "poseidon":
            return Answer(423, "lock_held", told)
        return Answer(500, "failed_lock", told)


class FleetLockServer(ThreadingHTTPServer):
    """The service at an address, with TLS where there is a ``context``. Raises OSError where it cannot listen."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        context: ssl.SSLContext | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.service, self.tell, self._context = service, tell, context
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  (as in socketserver)
        """In a thread, when there is one free."""
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """With TLS, which is negotiated here: a client that says nothing holds up nobody else."""
        try:
            request.settimeout(_SLOW)
            if self._context is not None:
                try:
                    request = self._context.wrap_socket(request, server_side=True)
                except OSError as error:
                    self.tell(f"{client_address[0]}: no TLS: {error.strerror or error}")
                    request.close()
                    return
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """A client that went away."""
        self.tell(f"{client_address[0]}: the connection ended")


class _Handler(BaseHTTPRequestHandler):
    server: FleetLockServer
    server_version: ClassVar[str] = "slotboot"  # type: ignore[misc]
    sys_version: ClassVar[str] = ""  # type: ignore[misc]

    def do_POST(self) -> None:
        """Answer and tell."""
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _LARGEST:
            self._send(Answer(413, "invalid_client_identity", "the body is too long"))
            return
        body = self.rfile.read(length)
        answer = self.server.service.answer(self.path, self.headers.get(HEADER), body)
        self.server.tell(
            f"{self.client_address[0]}: {self.path}: {answer.status} {answer.kind} {answer.value}".rstrip()
        )
        self._send(answer)

    def do_GET(self) -> None:
        """The metrics."""
        if self.path != "/metrics":
            self._send(Answer(404, "not_found", "no such path; expected /metrics"))
            return
        try:
            text = self.server.service.metrics()
        except LockError as error:
            self._send(Answer(503, "failed_lock", str(error)))
            return
        self._write(200, "text/plain; version=0.0.4; charset=utf-8", text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """``tell`` has it."""

    def _send(self, answer: Answer) -> None:
        fields = {"kind": answer.kind, "value": answer.value}
        data = b"" if answer.status == 200 else json.dumps(fields).encode()
        self._write(answer.status, "application/json", data)

    def _write(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _identity(header: str | None, body: bytes) -> Identity:
    """Raises ValueError."""
    if header != "true":
        raise ValueError(f"wrong '{HEADER}' header")
    try:
        params = json.loads(body)["client_params"]
        identity = Identity(params["id"], params["group"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError('expected {"client_params":{"id":...,"group":...}}') from error
    if not isinstance(identity.id, str) or not 0 < len(identity.id) <= 256 or not identity.id.isprintable():
        raise ValueError("empty or unusable id")
    if not isinstance(identity.group, str) or not is_group(identity.group):
        raise ValueError("a group has letters, digits, '.' and '-'")
    return identity
