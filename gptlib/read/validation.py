"""Validates one copy of a GPT on its own: header and entry array, each with what is wrong with it."""

from __future__ import annotations

from gptlib._record import Record
from gptlib.errors import ReadError
from gptlib.layout.compiled import HEADER_SIZE
from gptlib.read.findings import ERROR, NOTE, WARNING, Finding
from gptlib.table.crc import crc32
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, Header, decode_header, header_crc
from gptlib.table.table import MAX_ARRAY_BYTES, array_sectors, valid_entry_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gptlib.read.sectors import SectorCache

_USED_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE)


class Copy(Record):
    """One copy as it was found. ``header`` is None where there is no signature, whatever else is wrong.

    ``sector`` and ``entries`` are empty where they cannot be read, or where it is not known how long the entries are.
    """

    where: str
    lba: int
    sector: bytes = b""
    header: Header | None = None
    header_ok: bool = False
    entries: bytes = b""
    entries_ok: bool = False
    ignored: bool = False
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        found = (
            "ignored" if self.ignored else "valid" if self.valid else "; ".join(map(str, self.findings)) or "not valid"
        )
        return f"<Copy: {self.where} in sector {self.lba}, {found}>"

    @property
    def valid(self) -> bool:
        """Whether header and entries are complete and belong together."""
        return self.header_ok and self.entries_ok

    @property
    def is_legacy(self) -> bool:
        """Whether a sound header has ChromeOS's own signature."""
        return self.header_ok and self.header is not None and self.header.signature == LEGACY_SIGNATURE


def _header_findings(header: Header, sector: bytes, where: str, lba: int, total: int) -> list[Finding]:
    found: list[Finding] = []

    def error(code: str, message: str, severity: str = ERROR) -> None:
        found.append(Finding(code, severity, where, message))

    size, entry_size = header.header_size, header.size_of_partition_entry
    if header.revision >> 16 != 1:
        error("revision", f"header revision is {header.revision:#010x}; expected 0x00010000")
    if not HEADER_SIZE <= size <= len(sector):
        error("header-size", f"header size is {size}; expected {HEADER_SIZE} to {len(sector)} bytes")
    elif header_crc(sector, size) != header.header_crc32:
        error("header-crc", f"header CRC is {header.header_crc32:#010x}, which its contents do not have")
    if header.my_lba != lba:
        error("my-lba", f"the header in sector {lba} says that it stands in sector {header.my_lba}")
    if not valid_entry_size(entry_size):
        error("entry-size", f"entry size is {entry_size}; expected 128 * 2^n bytes")
    elif not 1 <= header.number_of_partition_entries <= MAX_ARRAY_BYTES // entry_size:
        error("entry-count", f"{header.number_of_partition_entries} entries of {entry_size} bytes are not plausible")
    else:
        _check_ranges(header, len(sector), total, error)
    return found


def _check_ranges(header: Header, sector_size: int, total: int, error: Callable[..., None]) -> None:
    first, last, start = header.first_usable_lba, header.last_usable_lba, header.partition_entry_lba
    end = start + array_sectors(header.array_bytes, sector_size) - 1
    if not 2 < first <= last + 1:
        error("usable-range", f"usable sectors are said to be {first} to {last}")
    if start < 2 or end >= total:
        error("entries-range", f"entries in sectors {start} to {end} lie outside the disk (2 to {total - 1})")
    elif start <= header.my_lba <= end:
        error("entries-range", f"entries in sectors {start} to {end} cover their own header")
    elif start <= last and first <= end:
        # An array that was moved for a boot loader, by sgdisk -j say: unusual, but where the header says that it is.
        message = f"entries in sectors {start} to {end} lie among the partitions' ({first} to {last})"
        error("entries-among-partitions", message, WARNING)


def validate_copy(cache: SectorCache, where: str, lba: int, sector_size: int, twin: Copy | None = None) -> Copy:
    """Read and validate the copy whose header stands in sector ``lba``.

    ``twin`` is the other copy, validated before: an array of the same bytes has the same CRC and is not summed up again.
    """
    try:
        sector = cache.get(lba * sector_size, sector_size)
    except ReadError as error:
        finding = Finding("unreadable", ERROR, where, f"the header in sector {lba} cannot be read ({error})")
        return Copy(where, lba, findings=(finding,))
    if not sector.startswith(_USED_SIGNATURES):
        return _without_header(where, lba, sector)
    header = decode_header(sector)
    found = tuple(_header_findings(header, sector, where, lba, cache.size // sector_size))
    copy = Copy(where, lba, sector, header, findings=found)
    if any(finding.severity == ERROR for finding in found):
        return copy
    return _with_entries(cache, copy._replace(header_ok=True), header, twin)


def _with_entries(cache: SectorCache, copy: Copy, header: Header, twin: Copy | None) -> Copy:
    """The copy with the array that its header, which is valid, names."""
    try:
        entries = cache.get(header.partition_entry_lba * len(copy.sector), header.array_bytes)
    except ReadError as error:
        message = f"the entries in sector {header.partition_entry_lba} cannot be read ({error})"
        return _with_finding(copy, "unreadable", message)
    if twin is not None and twin.entries_ok and twin.header is not None and twin.entries == entries:
        crc = twin.header.partition_entry_array_crc32
    else:
        crc = crc32(entries)
    copy = copy._replace(entries=entries, entries_ok=crc == header.partition_entry_array_crc32)
    if copy.entries_ok:
        return copy
    message = f"entries do not have the CRC {header.partition_entry_array_crc32:#010x} that the header names"
    return _with_finding(copy, "entries-crc", message)


def _with_finding(copy: Copy, code: str, message: str) -> Copy:
    return copy._replace(findings=(*copy.findings, Finding(code, ERROR, copy.where, message)))


def _without_header(where: str, lba: int, sector: bytes) -> Copy:
    ignored = sector.startswith(IGNORED_SIGNATURES)
    if ignored:
        finding = Finding("ignored", NOTE, where, "marked IGNOREME (ChromeOS): it is neither used nor written")
    else:
        finding = Finding("signature", ERROR, where, f"no 'EFI PART' at the start of sector {lba}")
    return Copy(where, lba, sector, ignored=ignored, findings=(finding,))
