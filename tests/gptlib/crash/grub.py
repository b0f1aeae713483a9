"""A model of Flatcar's GRUB (``grub-core/lib/gpt.c``), which cannot be run without its firmware: what it accepts as a GPT.

It trusts a valid primary header more than anything: the backup is where that header says, and must agree with it in every
field and in the CRC of the entries. Written with struct and zlib, so that it shares nothing with gptlib.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import TYPE_CHECKING, NamedTuple

from tests.gptlib.readers import Seen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gptlib.readers import View

_SECTOR = 512
_MIN_TABLE = 16384


class _Header(NamedTuple):
    magic: bytes
    version: int
    size: int
    crc: int
    reserved: int
    here: int
    there: int
    start: int
    end: int
    guid: bytes
    entries: int
    number: int
    entry_size: int
    entries_crc: int


def _header(image: bytes, lba: int) -> _Header | None:
    raw = image[lba * _SECTOR : lba * _SECTOR + 92]
    if len(raw) < 92:
        return None
    header = _Header(*struct.unpack("<8s4L4Q16sQ3L", raw))
    if header.magic != b"EFI PART" or header.version != 0x10000:
        return None
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:]) != header.crc or not 92 <= header.size <= _SECTOR:
        return None
    size = header.entry_size
    if size < 128 or size % 128 or (size // 128) & (size // 128 - 1) or header.number * size < _MIN_TABLE:
        return None
    return header if header.start <= header.end else None


def _primary(image: bytes) -> _Header | None:
    header = _header(image, 1)
    if header is None or header.here != 1 or header.there <= header.end:
        return None
    sectors = -(-header.number * header.entry_size // _SECTOR)
    return header if 1 < header.entries <= header.start - sectors else None


def _backup(image: bytes, primary: _Header | None) -> _Header | None:
    lba = primary.there if primary else len(image) // _SECTOR - 1
    header = _header(image, lba)
    if header is None or header.there != 1 or header.here != lba or header.here <= header.end:
        return None
    sectors = -(-header.number * header.entry_size // _SECTOR)
    if not header.end < header.entries <= header.here - sectors:
        return None
    if primary is not None:
        fields = ("size", "start", "end", "number", "entry_size", "entries_crc", "guid")
        if header.here != primary.there or any(getattr(header, name) != getattr(primary, name) for name in fields):
            return None
    return header


def _entries(image: bytes, header: _Header | None) -> bytes | None:
    if header is None:
        return None
    start = header.entries * _SECTOR
    data = image[start : start + header.number * header.entry_size]
    return data if zlib.crc32(data) == header.entries_crc else None


def read_grub(path: Path) -> View:
    """The partitions that ``gptprio.next`` would choose among, or None where it refuses the disk."""
    image = path.read_bytes()
    primary = _primary(image)
    backup = _backup(image, primary)
    header = primary or backup
    data = _entries(image, primary) or _entries(image, backup)
    if header is None or data is None:
        return None
    return tuple(
        _seen(number, data[(number - 1) * header.entry_size :])
        for number in range(1, header.number + 1)
        if any(data[(number - 1) * header.entry_size :][:16])
    )


def _seen(number: int, entry: bytes) -> Seen:
    kind, unique, first, last, bits = struct.unpack_from("<16s16s3Q", entry)
    label = entry[56:128].decode("utf-16-le", "surrogatepass").partition("\0")[0]
    names = [str(uuid.UUID(bytes_le=guid)).upper() for guid in (kind, unique)]
    return Seen(number, first, last - first + 1, names[0], names[1], label, bits)


_SLOT = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"


def grub_next(path: Path) -> int:
    """The number of the slot that ``gptprio.next`` takes; 0 where it refuses the disk or finds "no such partition"."""
    chosen, highest = 0, 0
    for seen in read_grub(path) or ():
        bits = seen.attributes or 0
        priority, eligible = bits >> 48 & 15, bits >> 52 & 31
        if seen.type == _SLOT and eligible and priority > highest:
            chosen, highest = seen.number, priority
    return chosen
