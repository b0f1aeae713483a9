"""What ``gptctl dump --raw`` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gptlib.raw.values import Field, Part
    from gptlib.read.state import Examination

_ROW = 16
"""Bytes of a line."""


def raw_text(parts: Iterable[Part]) -> Iterator[str]:
    """Lines for people: offset, bytes, name, value and meaning of each field. No control character of the disk is in them."""
    for number, part in enumerate(parts):
        if number:
            yield ""
        yield printable(f"{part.summary} (sector {part.sector}, {part.size} bytes from byte {part.offset})")
        for problem in part.problems:
            yield printable(f"  ! {problem}")
        for field in part.fields:
            yield from _field_lines(field)


def _field_lines(field: Field) -> Iterator[str]:
    data = _without_zeros(field.data) if len(field.data) > _ROW else field.data
    rows = [data[at : at + _ROW] for at in range(0, len(data), _ROW)]
    zeros = len(field.data) - len(data)
    mark = " " if field.meaning.valid else "!"
    first = f"{rows[0].hex()}" if rows else f"{zeros} zero bytes"
    value = f'"{field.meaning.value}"' if field.meaning.is_text else str(field.meaning.value)
    words = f"  {field.meaning.words}" if field.meaning.words else ""
    yield printable(f"{mark} {field.offset:08x}  {first:<32}  {field.name:<27}  {value}{words}")
    for number, row in enumerate(rows[1:], 1):
        yield f"  {field.offset + number * _ROW:08x}  {row.hex()}"
    if rows and zeros:
        yield f"  {field.offset + len(data):08x}  {zeros} zero bytes"


def _without_zeros(data: bytes) -> bytes:
    """Without the zeros at the end, in whole UTF-16 units: the second byte of a Latin letter is zero too."""
    used = len(data.rstrip(b"\0"))
    return data[: used + used % 2]


def raw_json(path: str, found: Examination, parts: Iterable[Part]) -> str:
    """The same as JSON, with all bytes of each field in hexadecimal digits."""
    value = {
        "path": path,
        "sector_size": found.sector_size,
        "sectors": found.total_sectors,
        "usable": found.table is not None,
        "source": found.source,
        "parts": [_part(part) for part in parts],
    }
    # ASCII escapes: a label may hold lone surrogates, which no encoding of a terminal can express.
    return json.dumps(value, indent=2) + "\n"


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "sector": part.sector,
        "offset": part.offset,
        "size": part.size,
        "summary": part.summary,
        "problems": list(part.problems),
        "fields": [_field(field) for field in part.fields],
    }


def _field(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "offset": field.offset,
        "bytes": field.data.hex(),
        "value": field.meaning.value,
        "meaning": field.meaning.words,
        "valid": field.meaning.valid,
    }
