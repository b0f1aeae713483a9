"""Requests and answers of etcd's JSON gateway as values: keys and values are base64, 64-bit numbers texts, zeroes left out."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A key with its value. ``created`` and ``modified`` are revisions, ``lease`` is 0 for none."""

    key: str
    value: bytes
    created: int
    modified: int
    lease: int


@dataclass(frozen=True)
class Txn:
    """The answer to a transaction: whether all comparisons held, the revision of the store, and what each read found."""

    succeeded: bool
    revision: int
    found: tuple[tuple[Entry, ...], ...]


def get(key: str, *, limit: int = 0) -> Json:
    """Read a key, or all that begin with it where it ends with a slash: in the order of their create revisions."""
    request: Json = {"key": _text(key)}
    if key.endswith("/"):
        request |= {"range_end": _end(key), "sort_target": "CREATE", "sort_order": "ASCEND"}
    if limit:
        request["limit"] = str(limit)
    return {"request_range": request}


def get_before(prefix: str, created: int, limit: int) -> Json:
    """Read the keys alone, without values, that begin with this and were created before that revision; the oldest first."""
    request = get(prefix, limit=limit)
    request["request_range"] |= {"keys_only": True, "max_create_revision": str(created - 1)}
    return request


def put(key: str, value: bytes, lease: int = 0) -> Json:
    """Write a key, bound to a lease where there is one."""
    request = {"key": _text(key), "value": b64encode(value).decode()}
    return {"request_put": request | ({"lease": str(lease)} if lease else {})}


def delete(key: str) -> Json:
    """Delete a key; one that is not there is none."""
    return {"request_delete_range": {"key": _text(key)}}


def modified_at(key: str, revision: int) -> Json:
    """Compare: the key was last changed in this revision; 0: it is not there."""
    return {"target": "MOD", "result": "EQUAL", "key": _text(key), "mod_revision": str(revision)}


def created_at(key: str, revision: int) -> Json:
    """Compare: the key was created in this revision; 0: it is not there. With a slash at its end: none that begins so is there."""
    compare: Json = {"target": "CREATE", "result": "EQUAL", "key": _text(key), "create_revision": str(revision)}
    return compare | ({"range_end": _end(key)} if key.endswith("/") else {})


def transaction(compare: list[Json], success: list[Json], failure: list[Json] | None = None) -> Json:
    """The body of a transaction."""
    return {"compare": compare, "success": success, "failure": failure or []}


def read_only(*gets: Json, serializable: bool = False) -> Json:
    """The body of a transaction that only reads; ``serializable``: what this member has, which may be old."""
    if serializable:
        gets = tuple({"request_range": one["request_range"] | {"serializable": True}} for one in gets)
    return transaction([], list(gets))


def watch(keys: list[str], revision: int) -> bytes:
    """The body of a watch of these keys, for changes from this revision on."""
    wanted = [{"create_request": {"key": _text(key), "start_revision": str(revision)}} for key in keys]
    return "\n".join(map(json.dumps, wanted)).encode()


def txn_of(answer: Json) -> Txn:
    """The answer to a transaction. Raises ValueError, KeyError, TypeError or AttributeError for what is none."""
    reads = [one["response_range"] for one in answer.get("responses", []) if "response_range" in one]
    found = [tuple(map(_entry, read.get("kvs", []))) for read in reads]
    return Txn(bool(answer.get("succeeded")), int(answer["header"]["revision"]), tuple(found))


def _entry(one: Json) -> Entry:
    return Entry(
        b64decode(one["key"]).decode("utf-8", "replace"),
        b64decode(one.get("value", "")),
        int(one["create_revision"]),
        int(one["mod_revision"]),
        int(one.get("lease", 0)),
    )


def _text(key: str) -> str:
    return b64encode(key.encode()).decode()


def _end(prefix: str) -> str:
    """The first key after all that begin with this, which ends with a slash."""
    return _text(prefix[:-1] + chr(ord("/") + 1))
