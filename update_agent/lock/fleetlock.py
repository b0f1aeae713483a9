"""The FleetLock protocol: what Zincati asks before it reboots, and what a server of it answers. And its client."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import HTTPError

from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import EndpointError, GroupError, LockRefusedError, LockUnreachableError
from update_agent.lock.etcd import CONNECT, READ, endpoints_of, words_of
from update_agent.lock.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.lock.coordinator import Stop

HEADER = "fleet-lock-protocol"
PRE_REBOOT, STEADY_STATE = "/v1/pre-reboot", "/v1/steady-state"
_ZINCATI = bytes.fromhex("de35106b6ec24688b63afddaa156679b")
_GROUP = re.compile(r"[a-zA-Z0-9.-]+")
_WAIT = {"failed_lock", "lock_held"}
"""Kinds of errors that mean: all places are taken, ask again. airlock's, and poseidon's."""
_LONGEST = 300


@dataclass(frozen=True)
class Identity:
    """Who asks."""

    id: str
    group: str


def fleetlock_id(machine_id: str) -> str:
    """The id that Zincati has on the machine with this id of machine-id(5): other machines do not learn that one.

    >>> fleetlock_id("0123456789abcdef0123456789abcdef")
    '583627a932274834a8ebd99f4ed41c0d'
    """
    digest = bytearray(hmac.digest(bytes.fromhex(machine_id), _ZINCATI, hashlib.sha256)[:16])
    digest[6] = digest[6] & 0x0F | 0x40
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def is_group(text: str) -> bool:
    """Whether it can be the name of a group in this protocol."""
    return _GROUP.fullmatch(text) is not None


def body_of(identity: Identity) -> bytes:
    """The body of a request."""
    return json.dumps({"client_params": {"id": identity.id, "group": identity.group}}, separators=(",", ":")).encode()


class FleetLock:
    """See ``update_agent.lock.coordinator.Lock``. The protocol has no queue, no versions, and nobody who can be told of a rollback.

    ``machine`` is the id of machine-id(5). Raises EndpointError, GroupError and LockCertificateError.
    """

    def __init__(
        self,
        url: str,
        group: str,
        machine: str,
        *,
        tls: Tls | None = None,
        read: float = 4 * READ,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        found = endpoints_of(url)
        if len(found) != 1:
            raise EndpointError(url, "no address of a FleetLock server")
        if not is_group(group):
            raise GroupError(group)
        (self._url,) = found
        self.group, self.machine = group, fleetlock_id(machine)
        self._body, self._now = body_of(Identity(self.machine, group)), now
        context = (tls or Tls()).context() if self._url.startswith("https:") else None
        self._timeout = urllib3.Timeout(connect=CONNECT, read=read)
        self._pools = urllib3.PoolManager(ssl_context=context, retries=False)
        self._kept: str | None = None

    def acquire(self, version: str) -> Held | Waiting:  # noqa: ARG002  (the protocol has none)
        """Ask for a place; since when it is held is not told."""
        status, kind, value = self._post(PRE_REBOOT)
        if status == 200:
            return Held(None)
        if kind in _WAIT or status in (409, 423):
            return Waiting(value or kind or "all places are taken", 0)
        raise self._error(status, kind, value)

    def held(self) -> Held | None:
        """The protocol has no question that changes nothing."""
        return None

    def release(self) -> None:
        """Give the place back, if there is one."""
        status, kind, value = self._post(STEADY_STATE)
        if status != 200:
            raise self._error(status, kind, value)

    def rolled_back(self, version: str, reason: str) -> None:
        """Nothing is sent, and so the place is kept: this is all that the protocol has to stop others with."""

    def stopped(self, version: str) -> Stop | None:  # noqa: ARG002
        """The protocol knows no stops."""
        return None

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()

    def _post(self, path: str) -> tuple[int, str, str]:
        headers = {HEADER: "true", "Content-Type": "application/json"}
        try:
            answer = self._pools.request(
                "POST", self._url + path, body=self._body, headers=headers, timeout=self._timeout, redirect=False
            )
        except HTTPError as error:
            raise LockUnreachableError({self._url: words_of(error)}) from error
        kind, value = _error_of(answer.data)
        return answer.status, kind, value

    def _error(self, status: int, kind: str, value: str) -> LockUnreachableError | LockRefusedError:
        told = f"{kind}: {value}" if kind else value or f"an answer of status {status}"
        if status >= 500:
            return LockUnreachableError({self._url: told})
        return LockRefusedError(self._url, f"the FleetLock server refuses: {told} (status {status})")


def _error_of(data: bytes) -> tuple[str, str]:
    """Kind and value of an error; a text that is no JSON is a value."""
    try:
        fields = json.loads(data)
    except ValueError:
        return "", data.decode("utf-8", "replace").strip()[:_LONGEST]
    if not isinstance(fields, dict):
        return "", ""
    kind, value = fields.get("kind"), fields.get("value")
    return (kind if isinstance(kind, str) else ""), (value if isinstance(value, str) else "")[:_LONGEST]
