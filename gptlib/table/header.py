"""The GPT header as values: decoding a sector, and encoding the two headers of a table (UEFI 2.10 table 5.5)."""

from __future__ import annotations

from struct import Struct

from gptlib.layout.compiled import HEADER_FORMAT, HEADER_SIZE, HeaderBytes, HeaderFields
from gptlib.table.crc import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table

_HEADER = Struct(HEADER_FORMAT)
_CRC = HeaderBytes.header_crc32
SIGNATURE = b"EFI PART"
LEGACY_SIGNATURE = b"CHROMEOS"
"""Valid for ChromeOS alone, which uses it to hide a table from everything else (vboot gpt.h)."""
IGNORED_SIGNATURES = (b"IGNOREME",)
"""Marks of ChromeOS for a copy that is not to be used, repaired or overwritten (vboot gpt.h)."""
_OF_THE_TABLE = (
    "revision",
    "header_size",
    "first_usable_lba",
    "last_usable_lba",
    "disk_guid",
    "number_of_partition_entries",
    "size_of_partition_entry",
)


class Header(HeaderFields):
    """The fields of a header as they stand on the disk."""

    @property
    def array_bytes(self) -> int:
        """Size of the entry array that the header describes."""
        return self.number_of_partition_entries * self.size_of_partition_entry

    def describes_same_table(self, other: Header) -> bool:
        """Whether both headers agree in all that does not depend on the copy: shape of the array, usable sectors, disk GUID."""
        return all(getattr(self, name) == getattr(other, name) for name in _OF_THE_TABLE)


def decode_header(sector: bytes) -> Header:
    """The fields of a header sector of at least 92 bytes, whatever they hold."""
    return Header._make(_HEADER.unpack_from(sector))


def header_crc(sector: bytes, size: int) -> int:
    """CRC-32 of the first ``size`` bytes with the CRC field zeroed."""
    return crc32(_with_crc(sector, 0)[:size])


def with_header_crc(sector: bytes, size: int) -> bytes:
    """The sector of a header of ``size`` bytes with its CRC."""
    return _with_crc(sector, header_crc(sector, size))


def _with_crc(sector: bytes, crc: int) -> bytes:
    return sector[: _CRC.start] + crc.to_bytes(_CRC.stop - _CRC.start, "little") + sector[_CRC.stop :]


def is_intact(sector: bytes, lba: int) -> bool:
    """Whether a sector holds a header, of whatever signature, with the right CRC, that says that it stands in ``lba``."""
    header = decode_header(sector)
    size = header.header_size
    return (
        HEADER_SIZE <= size <= len(sector) and header_crc(sector, size) == header.header_crc32 and header.my_lba == lba
    )


def encode_header(table: Table, *, primary: bool) -> bytes:
    """The sector of the primary or backup header of a table, with its CRC."""
    entries = table.entries
    header = Header(
        signature=SIGNATURE,
        revision=table.revision,
        header_size=table.header_size,
        header_crc32=0,
        reserved=table.reserved,
        my_lba=1 if primary else table.backup_lba,
        alternate_lba=table.backup_lba if primary else 1,
        first_usable_lba=table.first_usable_lba,
        last_usable_lba=table.last_usable_lba,
        disk_guid=table.disk_guid,
        partition_entry_lba=table.entries_lba(primary=primary),
        number_of_partition_entries=entries.capacity,
        size_of_partition_entry=entries.entry_size,
        partition_entry_array_crc32=entries.crc32,
    )
    tail = table.primary_tail if primary else table.backup_tail
    sector = (_HEADER.pack(*header) + tail).ljust(table.sector_size, b"\0")
    return with_header_crc(sector, table.header_size)
