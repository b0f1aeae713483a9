"""A model of CoreOS's ``cgpt next`` (seismograph), which Debian does not package: what it prints.

It judges both copies, and then chooses among the *primary* entries, whatever it thought of them, but prints the UUID that the
*valid* entries have at that place. It reads nothing but 128 entries of 128 bytes in their usual places, and 512-byte
sectors. Written with struct and zlib, so that it shares nothing with gptlib.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_SECTOR, _ENTRY, _COUNT = 512, 128, 128
_ARRAY_SECTORS = _COUNT * _ENTRY // _SECTOR
_SLOT = uuid.UUID("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6").bytes_le


class Choice(NamedTuple):
    """What it prints; None where the table has no slot."""

    uuid: str | None


class _Header(NamedTuple):
    magic: bytes
    revision: int
    size: int
    crc: int
    reserved: int
    here: int
    there: int
    first: int
    last: int
    guid: bytes
    entries: int
    number: int
    entry_size: int
    entries_crc: int


def _header(image: bytes, *, primary: bool) -> _Header | None:
    end = len(image) // _SECTOR
    lba = 1 if primary else end - 1
    raw = image[lba * _SECTOR : (lba + 1) * _SECTOR]
    header = _Header(*struct.unpack_from("<8s4L4Q16sQ3L", raw))
    if header.magic not in {b"EFI PART", b"CHROMEOS"} or header.revision != 0x10000 or not 92 <= header.size <= _SECTOR:
        return None
    if zlib.crc32(raw[:16] + bytes(4) + raw[20 : header.size]) != header.crc or header.reserved:
        return None
    if (header.entry_size, header.number, header.here) != (_ENTRY, _COUNT, lba):
        return None
    if header.entries != (2 if primary else lba - _ARRAY_SECTORS):
        return None
    usable = 2 + _ARRAY_SECTORS <= header.first <= header.last < end - 1 - _ARRAY_SECTORS
    return header if usable else None


def _valid(entries: bytes, header: _Header) -> bool:
    if zlib.crc32(entries) != header.entries_crc:
        return False
    used = [struct.unpack_from("<16s16s2Q", entries, at) for at in range(0, len(entries), _ENTRY)]
    used = sorted((entry for entry in used if any(entry[0])), key=lambda entry: entry[2])
    if len({entry[1] for entry in used}) < len(used):
        return False
    if any(first < header.first or last > header.last or last < first for _, _, first, last in used):
        return False
    return all(one[3] < other[2] for one, other in pairwise(used))


def _chosen(entries: bytes) -> int | None:
    """The slot with the highest priority that has tries or is successful, the first of equals; else the first slot."""
    chosen, highest = None, -1
    for place in range(_COUNT):
        kind, bits = struct.unpack_from("<16s32xQ", entries, place * _ENTRY)
        priority, eligible = bits >> 48 & 15, bits >> 52 & 31
        if kind == _SLOT and (chosen is None or (priority > highest and eligible)):
            chosen, highest = place, priority if eligible else -1
    return chosen


def coreos_next(path: Path) -> Choice | None:
    """What ``cgpt next`` prints, or None where it refuses the disk."""
    image = path.read_bytes()
    end = len(image) // _SECTOR
    primary, backup = _header(image, primary=True), _header(image, primary=False)
    good = primary or backup
    if good is None:
        return None
    arrays = [image[lba * _SECTOR : (lba + _ARRAY_SECTORS) * _SECTOR] for lba in (2, end - 1 - _ARRAY_SECTORS)]
    valid = [entries for entries in arrays if _valid(entries, good)]
    if not valid and primary and backup:
        valid = [entries for entries in arrays if _valid(entries, backup)]
    if not valid:
        return None
    place = _chosen(arrays[0])
    if place is None:
        return Choice(None)
    return Choice(str(uuid.UUID(bytes_le=valid[0][place * _ENTRY + 16 : place * _ENTRY + 32])))
