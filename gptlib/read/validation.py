"""Judges one copy of a GPT on its own: header and entry array, each with what is wrong with it."""

from __future__ import annotations

from gptlib._record import Record
from gptlib.errors import ReadError
from gptlib.read.findings import ERROR, NOTE, WARNING, Finding
from gptlib.table.crc import crc32_of_array
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, Header, decode_header, header_crc
from gptlib.table.table import HEADER_SIZE, MAX_ARRAY_BYTES, array_sectors, valid_entry_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gptlib.read.sectors import SectorCache

_USED_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE)


class Copy(Record):
    """One copy as it was found. ``header`` is None where there is no signature, whatever else is wrong."""

    where: str
    lba: int
    sector: bytes
    header: Header | None
    header_ok: bool
    entries: bytes
    entries_ok: bool
    ignored: bool
    findings: tuple[Finding, ...]

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

    size, entry_size = header.header_size, header.entry_size
    if header.revision >> 16 != 1:
        error("revision", f"header revision is {header.revision:#010x}; expected 0x00010000")
    if not HEADER_SIZE <= size <= len(sector):
        error("header-size", f"header size is {size}; expected 92 to {len(sector)} bytes")
    elif header_crc(sector, size) != header.header_crc32:
        error("header-crc", f"header CRC is {header.header_crc32:#010x}, which its contents do not have")
    if header.my_lba != lba:
        error("my-lba", f"the header in sector {lba} says that it stands in sector {header.my_lba}")
    if not valid_entry_size(entry_size):
        error("entry-size", f"entry size is {entry_size}; expected 128 * 2^n bytes")
    elif not 1 <= header.entry_count <= MAX_ARRAY_BYTES // entry_size:
        error("entry-count", f"{header.entry_count} entries of {entry_size} bytes are not plausible")
    else:
        _check_ranges(header, len(sector), total, error)
    return found


def _check_ranges(header: Header, sector_size: int, total: int, error: Callable[..., None]) -> None:
    first, last, start = header.first_usable_lba, header.last_usable_lba, header.entries_lba
    end = start + array_sectors(header.entry_count * header.entry_size, sector_size) - 1
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
    """Read and judge the copy whose header stands in sector ``lba``.

    ``twin`` is the other copy, judged before: an array of the same bytes has the same CRC and is not summed up again.
    """
    try:
        sector = cache.get(lba * sector_size, sector_size)
    except ReadError as error:
        finding = Finding("unreadable", ERROR, where, f"the header in sector {lba} cannot be read ({error})")
        return Copy(where, lba, b"", None, False, b"", False, False, (finding,))
    if not sector.startswith(_USED_SIGNATURES):
        return _without_header(where, lba, sector)
    header = decode_header(sector)
    found = tuple(_header_findings(header, sector, where, lba, cache.size // sector_size))
    if found and any(finding.severity == ERROR for finding in found):
        return Copy(where, lba, sector, header, False, b"", False, False, found)
    try:
        entries = cache.get(header.entries_lba * sector_size, header.entry_count * header.entry_size)
    except ReadError as error:
        message = f"the entries in sector {header.entries_lba} cannot be read ({error})"
        finding = Finding("unreadable", ERROR, where, message)
        return Copy(where, lba, sector, header, True, b"", False, False, (*found, finding))
    if twin is not None and twin.entries_ok and twin.header is not None and twin.entries == entries:
        # From here on they are one object: to compare them again costs nothing.
        entries, crc = twin.entries, twin.header.entries_crc32
    else:
        crc = crc32_of_array(entries)
    if crc == header.entries_crc32:
        return Copy(where, lba, sector, header, True, entries, True, False, found)
    message = f"entries do not have the CRC {header.entries_crc32:#010x} that the header names"
    finding = Finding("entries-crc", ERROR, where, message)
    return Copy(where, lba, sector, header, True, entries, False, False, (*found, finding))


def _without_header(where: str, lba: int, sector: bytes) -> Copy:
    ignored = sector.startswith(IGNORED_SIGNATURES)
    if ignored:
        finding = Finding("ignored", NOTE, where, "marked IGNOREME (ChromeOS): it is neither used nor written")
    else:
        finding = Finding("signature", ERROR, where, f"no 'EFI PART' at the start of sector {lba}")
    return Copy(where, lba, sector, None, False, b"", False, ignored, (finding,))
