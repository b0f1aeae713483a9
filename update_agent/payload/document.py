"""The JSON of an index, read from outside: bounded before it is taken apart, and every value of its kind and in its range."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from update_agent.payload.errors import IndexError_

LARGEST: Final = 8 << 20
"""Bytes of the longest index. Reading one of this length takes less than 64 MiB of memory, one of a slot of 4 GiB 1 MiB."""
LONGEST_NUMBER: Final = 13
"""Digits of the largest number. What an index can describe has no need of more."""
_BYTES_PER_ENTRY: Final = 64
"""Of any entry at least; a SHA-256 alone has as many digits."""
_OTHER_VALUES: Final = 64
"""Names, values and brackets that are not of an entry; ours has 18."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


def load(data: bytes) -> dict[str, Any]:
    """The object that these bytes hold. Raises IndexError_.

    An empty list takes two bytes here and 64 in memory. So the length bounds nothing before it is known that there are no more
    brackets, texts and numbers than entries have.
    """
    if len(data) > LARGEST:
        raise IndexError_(f"it has {len(data)} bytes, more than {LARGEST}")
    entries = len(data) // _BYTES_PER_ENTRY
    for sign, most in ((b"[", 1), (b"{", 0), (b'"', 2), (b",", 4)):
        if data.count(sign) > entries * most + _OTHER_VALUES:
            raise IndexError_(f"it has more {sign.decode()} than {len(data)} bytes of an index can have")
    try:
        fields = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_unique,
            parse_int=_whole_number,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except UnicodeDecodeError as error:
        raise IndexError_(f"it is not ASCII (byte {error.start})") from error
    except RecursionError as error:
        raise IndexError_("it is nested too deeply") from error
    except ValueError as error:
        raise IndexError_(f"it is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise IndexError_("it is not a JSON object")
    return fields


def number_field(fields: dict[str, Any], name: str) -> int:
    """A whole number from 0 on. Raises IndexError_, like the others."""
    return whole_number(_field(fields, name), name)


def whole_number(value: object, name: str) -> int:
    """The value, if it is a whole number from 0 on. ``name`` is what the error calls it."""
    if type(value) is not int:  # True is an int, too
        raise IndexError_(f"{name} is {shown(value)}, expected a whole number")
    if not 0 <= value < 10**LONGEST_NUMBER:
        raise IndexError_(f"{name} is {shown(value)}, expected a number from 0 to {10**LONGEST_NUMBER - 1}")
    return value


def digest_field(fields: dict[str, Any], name: str) -> str:
    """A SHA-256 in 64 lower-case hexadecimal digits."""
    return digest(_field(fields, name), name)


def digest(value: object, name: str) -> str:
    """The value, if it is a SHA-256 in 64 lower-case hexadecimal digits. ``name`` is what the error calls it."""
    if type(value) is not str or not _SHA256.fullmatch(value):
        raise IndexError_(f"{name} is {shown(value)}, expected 64 lower-case hexadecimal digits")
    return value


def entries_field(fields: dict[str, Any], name: str, width: int) -> list[list[object]]:
    """A list of lists of ``width`` values."""
    entries = _field(fields, name)
    if type(entries) is not list:
        raise IndexError_(f"{name} is {shown(entries)}, expected a list")
    for number, entry in enumerate(entries):
        if type(entry) is not list or len(entry) != width:
            raise IndexError_(f"entry {number} of {name} is {shown(entry)}, expected a list of {width} values")
    return entries


def shown(value: object) -> str:
    """A value in a line for people, cut off where it is long."""
    if type(value) is int and abs(value) >= 10**40:
        return "a number of very many digits"
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _field(fields: dict[str, Any], name: str) -> Any:  # noqa: ANN401  (what JSON holds)
    if name not in fields:
        raise IndexError_(f"{name} is missing")
    return fields[name]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise IndexError_(f"{shown(twice)} stands in it twice")
    return fields


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER or digits[0] == "-":
        raise IndexError_(f"{shown(digits)} is no number from 0 to {10**LONGEST_NUMBER - 1}")
    return int(digits)


def _no_number(text: str) -> None:
    raise IndexError_(f"{shown(text)} is no whole number")
