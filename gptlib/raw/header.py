"""A header field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gptlib.layout.header import HEADER
from gptlib.raw.values import Field, Meaning, fields_of
from gptlib.raw.words import crc_meaning, guid_meaning, lba_meaning
from gptlib.table.crc import crc32
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, header_crc
from gptlib.table.table import array_sectors, valid_entry_size

if TYPE_CHECKING:
    from construct import Container

    from gptlib.raw.values import Geometry

_SIGNATURES = {
    SIGNATURE: "a GPT header",
    LEGACY_SIGNATURE: "a GPT header for ChromeOS alone (legacy mode)",
    IGNORED_SIGNATURES[0]: "a copy that is neither used nor written (ChromeOS)",
}


def header_fields(sector: bytes, lba: int, disk: Geometry, entries: bytes) -> tuple[Field, ...]:
    """The fields of a header sector; ``entries`` is the array that it names, empty where that cannot be read."""
    header = HEADER.parse(sector)
    first, last = header.first_usable_lba, header.last_usable_lba
    behind = "" if first <= last + 1 else "it would end before it starts"
    meanings = {
        "signature": _signature_meaning(header.signature),
        "revision": _revision_meaning(header.revision),
        "header_size": _size_meaning(header.header_size, sector),
        "header_crc32": _header_crc_meaning(header, sector),
        "reserved": Meaning(header.reserved, "" if not header.reserved else "reserved, and not zero"),
        "my_lba": lba_meaning(header.my_lba, disk, "" if header.my_lba == lba else f"wrong: this is sector {lba}"),
        "alternate_lba": lba_meaning(header.alternate_lba, disk, _alternate_problem(header, lba)),
        "first_usable_lba": lba_meaning(first, disk, behind),
        "last_usable_lba": lba_meaning(last, disk, behind),
        "disk_guid": guid_meaning(header.disk_guid),
        "partition_entry_lba": _array_meaning(header, disk),
        "number_of_partition_entries": Meaning(header.number_of_partition_entries, "entries, used or not"),
        "size_of_partition_entry": _entry_size_meaning(header.size_of_partition_entry),
        "partition_entry_array_crc32": crc_meaning(
            header.partition_entry_array_crc32, crc32(entries) if entries else None, "the entries"
        ),
    }
    return fields_of(HEADER, sector, lba * disk.sector_size, meanings)


def _signature_meaning(data: bytes) -> Meaning:
    words = _SIGNATURES.get(data)
    text = data.decode("latin-1")
    return Meaning(text, words or "not a GPT header: expected 'EFI PART'", valid=words is not None, is_text=True)


def _revision_meaning(revision: int) -> Meaning:
    words, valid = f"revision {revision >> 16}.{revision & 0xFFFF}", revision >> 16 == 1
    return Meaning(f"{revision:#010x}", words if valid else f"{words}; expected 1.0", valid=valid)


def _size_meaning(size: int, sector: bytes) -> Meaning:
    least = HEADER.sizeof()
    valid = least <= size <= len(sector)
    return Meaning(size, "bytes" if valid else f"wrong: expected {least} to {len(sector)} bytes", valid=valid)


def _header_crc_meaning(header: Container[Any], sector: bytes) -> Meaning:
    size = header.header_size
    expected = header_crc(sector, size) if HEADER.sizeof() <= size <= len(sector) else None
    if expected is None:
        return Meaning(f"{header.header_crc32:#010x}", "not checked: the header size is wrong", valid=False)
    return crc_meaning(header.header_crc32, expected, f"the first {size} bytes with this field zeroed")


def _alternate_problem(header: Container[Any], lba: int) -> str:
    if header.alternate_lba == lba:
        return "wrong: that is this header itself"
    return "" if lba == 1 or header.alternate_lba == 1 else "wrong: the primary header stands in sector 1"


def _array_meaning(header: Container[Any], disk: Geometry) -> Meaning:
    first = header.partition_entry_lba
    length = header.number_of_partition_entries * header.size_of_partition_entry
    last = first + max(array_sectors(length, disk.sector_size), 1) - 1
    words = f"{disk.at(first)}; entries in sectors {first} to {last}"
    problem = "" if 1 < first <= last < disk.sectors else f"wrong: expected sectors from 2 to {disk.sectors - 1}"
    return Meaning(first, f"{words}; {problem}" if problem else words, valid=not problem)


def _entry_size_meaning(size: int) -> Meaning:
    valid = valid_entry_size(size)
    return Meaning(size, "bytes each" if valid else "wrong: expected 128 * 2^n bytes", valid=valid)
