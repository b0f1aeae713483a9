"""The DNS server (RFC 1035): the names of the machines, with and without the domain, and the names of their addresses."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.network.dhcp import DOMAIN

if TYPE_CHECKING:
    from qemu_tests.harness.network.addresses import Directory, Host

PORT = 53
TTL_SECONDS = 60
_HEADER = struct.Struct(">HHHHHH")
_RESPONSE, _AUTHORITATIVE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x0400, 0x0100, 0x0080
_OPCODE, _TRUNCATED = 0x7800, 0x0200
_NO_ERROR, _FORMAT_ERROR, _NAME_ERROR, _NOT_IMPLEMENTED = 0, 1, 3, 4
_A, _PTR, _ANY, _IN = 1, 12, 255, 1
_QUESTION_AT = b"\xc0\x0c"
"""A pointer to the name of the question, which begins behind the header (4.1.4)."""
_REVERSE = ["in-addr", "arpa"]
_LONGEST_LABEL, _LONGEST_NAME = 63, 255


class MalformedError(Exception):
    """The question cannot be read."""


@dataclass(frozen=True)
class Question:
    """``raw`` is the question as it was sent: its letters go back as they came, which resolvers check."""

    labels: tuple[str, ...]
    kind: int
    raw: bytes


def answer(directory: Directory, query: bytes) -> bytes | None:
    """The answer to a query; None to what is none, such as an answer or less than a header."""
    if len(query) < _HEADER.size:
        return None
    number, flags, questions, *_ = _HEADER.unpack_from(query)
    if flags & _RESPONSE:
        return None
    if flags & _OPCODE:
        return _reply(number, flags, _NOT_IMPLEMENTED)
    if questions != 1 or flags & _TRUNCATED:
        return _reply(number, flags, _FORMAT_ERROR)
    try:
        question = _question(query)
    except MalformedError:
        return _reply(number, flags, _FORMAT_ERROR)
    return _answer(directory, number, flags, question)


def _answer(directory: Directory, number: int, flags: int, question: Question) -> bytes:
    labels = [label.lower() for label in question.labels]
    reverse = labels[-2:] == _REVERSE
    host = _host_of_address(directory, labels[:-2]) if reverse else _host_of_name(directory, labels)
    if host is None:
        code = _NO_ERROR if _is_above_names(labels) else _NAME_ERROR
        return _reply(number, flags, code, question.raw)
    kind, data = (_PTR, _packed_name(host)) if reverse else (_A, host.address.packed)
    if question.kind not in {kind, _ANY}:
        # Not NXDOMAIN: that would say that there is no such name at all, and resolvers ask for A and AAAA at once.
        return _reply(number, flags, _NO_ERROR, question.raw)
    record = _QUESTION_AT + struct.pack(">HHLH", kind, _IN, TTL_SECONDS, len(data)) + data
    return _reply(number, flags, _NO_ERROR, question.raw, record)


def _reply(number: int, flags: int, code: int, question: bytes = b"", record: bytes = b"") -> bytes:
    kept = flags & (_OPCODE | _RECURSION_DESIRED)
    meaning = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | kept | code
    return _HEADER.pack(number, meaning, bool(question), bool(record), 0, 0) + question + record


def _question(query: bytes) -> Question:
    labels = []
    at = _HEADER.size
    while True:
        if at >= len(query) or query[at] > _LONGEST_LABEL or at - _HEADER.size > _LONGEST_NAME:
            raise MalformedError("a name without an end, or one with a pointer, and there is nothing to point to")
        length = query[at]
        at += 1
        if not length:
            break
        # Latin-1: a label has any bytes; what is no host name is simply not found.
        labels.append(query[at : at + length].decode("latin-1"))
        at += length
    if at + 4 > len(query):
        raise MalformedError("a name without a type and a class")
    kind, class_ = struct.unpack_from(">HH", query, at)
    if class_ not in {_IN, _ANY}:
        raise MalformedError(f"a class {class_} that is not the internet's")
    return Question(tuple(labels), kind, query[_HEADER.size : at + 4])


def _host_of_name(directory: Directory, labels: list[str]) -> Host | None:
    domain = DOMAIN.split(".")
    if labels[1:] not in ([], domain):
        return None
    return directory.by_label(labels[0]) if labels else None


def _host_of_address(directory: Directory, labels: list[str]) -> Host | None:
    try:
        address = ipaddress.IPv4Address(".".join(reversed(labels)))
    except ValueError:
        return None
    return directory.by_address(address)


def _is_above_names(labels: list[str]) -> bool:
    """Whether names end in this one, so that it is there although it has no address itself (RFC 8020)."""
    return not labels or labels in (DOMAIN.split("."), DOMAIN.split(".")[1:], _REVERSE, _REVERSE[1:])


def _packed_name(host: Host) -> bytes:
    labels = [host.host, *DOMAIN.split(".")]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
