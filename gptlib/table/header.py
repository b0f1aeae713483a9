"""The GPT header as values: decoding a sector, and encoding the two headers of a table (UEFI 2.10 table 5.5)."""

from __future__ import annotations

from struct import Struct

from gptlib._record import Record
from gptlib.layout.compiled import HEADER_FORMAT
from gptlib.table.crc import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table

_HEADER = Struct(HEADER_FORMAT)
SIGNATURE = b"EFI PART"
LEGACY_SIGNATURE = b"CHROMEOS"
"""Valid for ChromeOS alone, which uses it to hide a table from everything else (vboot gpt.h)."""
IGNORED_SIGNATURES = (b"IGNOREME",)
"""Marks of ChromeOS for a copy that is not to be used, repaired or overwritten (vboot gpt.h)."""
_CRC_AT, _CRC_END = 16, 20


class Header(Record):
    """The 14 fields of a header as they stand on the disk."""

    signature: bytes
    revision: int
    header_size: int
    header_crc32: int
    reserved: int
    my_lba: int
    alternate_lba: int
    first_usable_lba: int
    last_usable_lba: int
    disk_guid: bytes
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc32: int


def decode_header(sector: bytes) -> Header:
    """The fields of a header sector of at least 92 bytes, whatever they hold."""
    return Header(*_HEADER.unpack_from(sector))


def header_crc(sector: bytes, size: int) -> int:
    """CRC-32 of the first ``size`` bytes with the CRC field zeroed."""
    return crc32(sector[:_CRC_AT] + b"\0\0\0\0" + sector[_CRC_END:size])


def is_intact(sector: bytes, lba: int) -> bool:
    """Whether a sector holds a header, of whatever signature, with the right CRC, that says that it stands in ``lba``."""
    header = decode_header(sector)
    size = header.header_size
    return (
        _HEADER.size <= size <= len(sector) and header_crc(sector, size) == header.header_crc32 and header.my_lba == lba
    )


def encode_header(table: Table, *, primary: bool) -> bytes:
    """The sector of the primary or backup header of a table, with its CRC."""
    if primary:
        here, there, entries_lba, tail = 1, table.backup_lba, table.primary_entries_lba, table.primary_tail
    else:
        here, there, entries_lba, tail = table.backup_lba, 1, table.backup_entries_lba, table.backup_tail
    entries = table.entries
    fields = _HEADER.pack(
        SIGNATURE,
        table.revision,
        table.header_size,
        0,
        table.reserved,
        here,
        there,
        table.first_usable_lba,
        table.last_usable_lba,
        table.disk_guid,
        entries_lba,
        entries.capacity,
        entries.entry_size,
        entries.crc32,
    )
    sector = (fields + tail).ljust(table.sector_size, b"\0")
    crc = crc32(sector[: table.header_size])
    return sector[:_CRC_AT] + crc.to_bytes(4, "little") + sector[_CRC_END:]
