"""What an answer of etcd's gateway means: JSON, a stream of JSON, or a line of text, and which of our errors it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from update_agent.lock.errors import CommonNameError, LeaseGoneError, LockDeniedError, LockRefusedError

if TYPE_CHECKING:
    from update_agent.lock.wire import Json

_INVALID, _NOT_FOUND, _DENIED, _EXHAUSTED, _UNAUTHENTICATED = 3, 5, 7, 8, 16
"""Codes of gRPC."""
_NO_USER = "etcd asks for a user; set locksmith.etcd-username and its password"
_LONGEST = 300


class LogInError(Exception):
    """The token is none any more: a new one is needed."""


class BusyError(Exception):
    """The member cannot say now; for a change it is not known whether it was, or will be, made."""


def read_answer(endpoint: str, status: int, data: bytes, certificate: str = "", user: str = "") -> Json:
    """The JSON of a good answer. Raises LogInError, BusyError and LockError."""
    fields = _fields(data)
    if fields is None:
        text = data.decode("utf-8", "replace").strip()[:_LONGEST]
        raise _meaning(endpoint, status, -1, text or f"an empty answer of status {status}", certificate, user)
    if status == 200 and "error" not in fields:
        return fields
    inner = fields.get("error")
    if isinstance(inner, dict):  # in a stream
        raise _meaning(endpoint, status, inner.get("grpc_code", -1), str(inner.get("message", "")), certificate, user)
    message = str(fields.get("message") or inner or "")[:_LONGEST]
    raise _meaning(endpoint, status, fields.get("code", -1), message, certificate, user)


def _fields(data: bytes) -> Json | None:
    """The first JSON object; that inside of ``result`` where it is one of a stream."""
    try:
        fields = json.loads(data.partition(b"\n")[0] or b"")
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    result = fields.get("result", fields)
    return result if isinstance(result, dict) else None


def _meaning(endpoint: str, status: int, code: object, message: str, certificate: str, user: str) -> Exception:
    if "CommonName of client" in message:
        return CommonNameError(endpoint, certificate)
    if code == _UNAUTHENTICATED or status == 401 or "revision of auth store is old" in message:
        return LogInError(message)
    if code == _DENIED or status == 403:
        remedy = "the user needs the right to read and write the keys of the lock" if user else _NO_USER
        return LockDeniedError(endpoint, message, remedy)
    if code == _INVALID and "authentication failed" in message:
        return LockDeniedError(endpoint, message, "check locksmith.etcd-username and locksmith.etcd-password")
    if code == _INVALID and "user name is empty" in message:
        return LockDeniedError(endpoint, message, _NO_USER)
    if code == _NOT_FOUND and "lease" in message:
        return LeaseGoneError(endpoint, message)
    return _trouble(endpoint, status, code, message)


def _trouble(endpoint: str, status: int, code: object, message: str) -> Exception:
    if code == _EXHAUSTED and "space exceeded" in message:
        return LockRefusedError(endpoint, f"{message}; compact and defragment etcd, then disarm its alarm")
    if status >= 500 or status == 429 or code == _EXHAUSTED:
        return BusyError(f"{message} (status {status})")
    if status in (200, 404) and code == -1:
        return LockRefusedError(endpoint, f"no JSON gateway of etcd v3 answers there: {message}")
    return LockRefusedError(endpoint, message)
