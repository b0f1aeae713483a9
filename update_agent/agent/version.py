"""Which of two versions is the newer one, as the Version Format Specification (UAPI.10) has it, and systemd.

>>> is_newer("1.10", "1.9"), is_newer("2.0~rc1", "2.0"), is_newer("1.0-2", "1.0-1")
(True, False, True)
"""

from __future__ import annotations

import re
from functools import cmp_to_key

_FOREIGN = re.compile(r"[^0-9A-Za-z~^.-]+")
_DIGITS, _LETTERS = re.compile(r"[0-9]*"), re.compile(r"[A-Za-z]*")


def compare(one: str, other: str) -> int:
    """-1, 0 or 1: whether ``one`` is the older, the same (``01`` and ``1`` are), or the newer."""
    while True:
        one, other = _trimmed(one), _trimmed(other)
        if "~" in (one[:1], other[:1]):
            if one[:1] != other[:1]:
                return -1 if one[:1] == "~" else 1
            one, other = one[1:], other[1:]
        if not one or not other:
            return bool(one) - bool(other)
        for mark in "-^.":
            if mark in (one[:1], other[:1]):
                if one[:1] != other[:1]:
                    return -1 if one[:1] == mark else 1
                one, other = one[1:], other[1:]
        form = _DIGITS if one[:1].isdigit() or other[:1].isdigit() else _LETTERS
        first, second = _start(form, one), _start(form, other)
        found = _numbers(first, second) if form is _DIGITS else _order(first, second)
        if found:
            return found
        one, other = one[len(first) :], other[len(second) :]


def _later(one: str, other: str) -> int:
    return compare(other, one)


newest_first = cmp_to_key(_later)
"""A key for sorting."""


def is_newer(one: str, other: str) -> bool:
    """Whether ``one`` comes after ``other``."""
    return compare(one, other) > 0


def _trimmed(text: str) -> str:
    match = _FOREIGN.match(text)
    return text[match.end() :] if match else text


def _start(form: re.Pattern[str], text: str) -> str:
    match = form.match(text)
    return match[0] if match else ""


def _numbers(one: str, other: str) -> int:
    """A number is newer than none; no limit to its digits."""
    if not one or not other:
        return bool(one) - bool(other)
    first, second = one.lstrip("0"), other.lstrip("0")
    return _order(str(len(first)).zfill(9), str(len(second)).zfill(9)) or _order(first, second)


def _order(one: str, other: str) -> int:
    """That of ASCII, in which a text comes after its own beginning."""
    return (one > other) - (one < other)
