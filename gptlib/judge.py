"""Judges one copy of a GPT on its own: header and entry array, each with what is wrong with it."""

from __future__ import annotations

from gptlib._record import Record
from gptlib.crc import crc32_of_array
from gptlib.errors import ReadError
from gptlib.findings import ERROR, NOTE, Finding
from gptlib.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, Header, decode_header, header_crc
from gptlib.table import HEADER_SIZE, MAX_ARRAY_BYTES, array_sectors, valid_entry_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.window import Window

PRIMARY, BACKUP = "primary", "backup"


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

    @property
    def valid(self) -> bool:
        """Whether header and entries are complete and belong together."""
        return self.header_ok and self.entries_ok


def _error(code: str, where: str, message: str) -> Finding:
    return Finding(code, ERROR, where, message)


def _header_errors(header: Header, sector: bytes, where: str, lba: int, total: int) -> Iterator[Finding]:
    if header.revision >> 16 != 1:
        yield _error("revision", where, f"header revision is {header.revision:#010x}; expected 0x00010000")
    if not HEADER_SIZE <= header.header_size <= len(sector):
        yield _error("header-size", where, f"header size is {header.header_size}; expected 92 to {len(sector)} bytes")
    elif header_crc(sector, header.header_size) != header.header_crc32:
        yield _error("header-crc", where, f"header CRC is {header.header_crc32:#010x}, which its contents do not have")
    if header.my_lba != lba:
        yield _error("my-lba", where, f"the header in sector {lba} says that it stands in sector {header.my_lba}")
    if not valid_entry_size(header.entry_size):
        yield _error("entry-size", where, f"entry size is {header.entry_size}; expected 128 * 2^n bytes")
    elif not 1 <= header.entry_count <= MAX_ARRAY_BYTES // header.entry_size:
        yield _error(
            "entry-count", where, f"{header.entry_count} entries of {header.entry_size} bytes are not plausible"
        )
    else:
        yield from _range_errors(header, where, len(sector), total)


def _range_errors(header: Header, where: str, sector_size: int, total: int) -> Iterator[Finding]:
    first, last = header.first_usable_lba, header.last_usable_lba
    if not 2 < first <= last + 1:
        yield _error("usable-range", where, f"usable sectors are said to be {first} to {last}")
    start = header.entries_lba
    end = start + array_sectors(header.entry_count * header.entry_size, sector_size) - 1
    if start < 2 or end >= total:
        yield _error(
            "entries-range", where, f"entries in sectors {start} to {end} lie outside the disk (2 to {total - 1})"
        )
    elif start <= last and first <= end:
        yield _error(
            "entries-range", where, f"entries in sectors {start} to {end} lie among the partitions' ({first} to {last})"
        )
    elif start <= header.my_lba <= end:
        yield _error("entries-range", where, f"entries in sectors {start} to {end} cover their own header")


def _judge_header(window: Window, where: str, lba: int, sector_size: int) -> Copy:
    def copy(header: Header | None, sector: bytes, findings: list[Finding], *, ignored: bool = False) -> Copy:
        return Copy(where, lba, sector, header, not findings, b"", False, ignored, tuple(findings))

    try:
        sector = window.get(lba * sector_size, sector_size)
    except ReadError as error:
        return copy(None, b"", [_error("unreadable", where, f"the header in sector {lba} cannot be read ({error})")])
    if sector.startswith(IGNORED_SIGNATURES):
        finding = Finding("ignored", NOTE, where, "marked IGNOREME (ChromeOS): it is neither used nor written")
        return copy(None, sector, [finding], ignored=True)
    if not sector.startswith((SIGNATURE, LEGACY_SIGNATURE)):
        return copy(None, sector, [_error("signature", where, f"no 'EFI PART' at the start of sector {lba}")])
    header = decode_header(sector)
    return copy(header, sector, list(_header_errors(header, sector, where, lba, window.size // sector_size)))


def judge_copy(window: Window, where: str, lba: int, sector_size: int, twin: Copy | None = None) -> Copy:
    """Read and judge the copy whose header stands in sector ``lba``.

    ``twin`` is the other copy, judged before: an array of the same bytes has the same CRC and is not summed up again.
    """
    copy = _judge_header(window, where, lba, sector_size)
    header = copy.header
    if header is None or not copy.header_ok:
        return copy
    length = header.entry_count * header.entry_size
    try:
        entries = window.get(header.entries_lba * sector_size, length)
    except ReadError as error:
        finding = _error("unreadable", where, f"the entries in sector {header.entries_lba} cannot be read ({error})")
        return copy._replace(findings=(*copy.findings, finding))
    if twin is not None and twin.entries_ok and twin.header is not None and twin.entries == entries:
        ok = twin.header.entries_crc32 == header.entries_crc32
    else:
        ok = crc32_of_array(entries) == header.entries_crc32
    if ok:
        return Copy(where, lba, copy.sector, header, True, entries, True, False, copy.findings)
    finding = _error(
        "entries-crc", where, f"entries do not have the CRC {header.entries_crc32:#010x} that the header names"
    )
    return copy._replace(entries=entries, findings=(*copy.findings, finding))
