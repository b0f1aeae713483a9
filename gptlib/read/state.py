"""From the bytes of a disk to its table: both copies are validated, the best information is used, and the rest is reported."""

from __future__ import annotations

from gptlib._record import Record, unchecked
from gptlib.layout.compiled import HEADER_SIZE, MBR_SIZE
from gptlib.read.findings import ERROR, NOTE, WARNING, Finding
from gptlib.read.validation import Copy, validate_copy
from gptlib.table.crc import crc32
from gptlib.table.guid import Guid
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, Header, is_intact
from gptlib.table.mbr import ABSENT, FOREIGN, HYBRID, classify, protected_sectors, protective_size
from gptlib.table.partition import EntryArray
from gptlib.table.structures import BACKUP, PRIMARY
from gptlib.table.table import SECTOR_SIZES, Table, array_sectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.read.sectors import SectorCache

COMBINED = "combined"
"""Source of a table that took the header of one copy and the entries of the other."""
_LARGEST_SECTOR = max(SECTOR_SIZES)
_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE, *IGNORED_SIGNATURES)


class Examination(Record):
    """Everything that one look at a disk found, be there a table or not.

    ``table`` is None where no complete table can be put together; ``source`` says where it came from (``primary``,
    ``backup``, ``combined`` or empty). ``findings`` holds those of both copies and of the disk as a whole.
    """

    sector_size: int
    total_sectors: int
    mbr: bytes
    primary: Copy
    backup: Copy
    table: Table | None
    source: str
    findings: tuple[Finding, ...] = ()
    left_alone: tuple[str, ...] = ()
    """Copies (``primary``, ``backup``) in whose place something else stands: only ``repair`` by force writes them."""
    end_signature: str = ""
    """What stands at the end of a disk that was grown, where that is known; the backup then stays where it is."""

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.total_sectors} sectors of {self.sector_size} bytes, MBR {self.mbr_kind}, {self.primary!r}, "
            f"{self.backup!r}, from {self.source or 'neither'}: {self.table!r}>"
        )

    @property
    def has_signature(self) -> bool:
        """Whether anything on the disk claims to be a GPT header."""
        one, two = self.primary, self.backup
        return one.header is not None or two.header is not None or one.ignored or two.ignored

    @property
    def mbr_kind(self) -> str:
        """What the MBR is: ``absent``, ``protective``, ``hybrid`` or ``foreign`` (see ``gptlib.table.mbr.classify``)."""
        return classify(self.mbr)

    @property
    def is_legacy(self) -> bool:
        """Whether one of the headers in use has ChromeOS's own signature (see ``gptlib.write.legacy``)."""
        return self.primary.is_legacy or self.backup.is_legacy


class State(Examination):
    """What was found on a disk whose table can be used."""

    if TYPE_CHECKING:

        @property
        def table(self) -> Table:
            """The table: never None here."""


def probe_sector_size(cache: SectorCache) -> int:
    """The sector size that the headers on an image file stand for: 512, 4096, or 512 when there are none."""
    candidates = [size for size in SECTOR_SIZES if cache.peek(size, 8) in _SIGNATURES]
    if len(candidates) == 1:
        return candidates[0]
    for size in SECTOR_SIZES:
        for offset, lba in ((size, 1), (cache.size - size, cache.size // size - 1)):
            sector = cache.peek(offset, size) if offset >= size else b""
            if sector.startswith(_SIGNATURES):
                if is_intact(sector, lba):
                    return size
                candidates.append(size)
    return candidates[0] if candidates else SECTOR_SIZES[0]


def examine(cache: SectorCache, sector_size: int | None) -> Examination:
    """Read and validate everything. Never raises for the contents of a disk, only records what it found.

    ``sector_size`` is None for an image file, where it is probed; where that leads nowhere, what another table for another
    sector size left behind may have misled the probe, and the other size is tried.
    """
    size = sector_size or probe_sector_size(cache)
    found = _examine(cache, size)
    if found.table is None and sector_size is None:
        for other in SECTOR_SIZES:
            second = _examine(cache, other) if other != size else found
            if second.table is not None:
                return second
    return found


def _examine(cache: SectorCache, size: int) -> Examination:
    total = cache.size // size
    primary = validate_copy(cache, PRIMARY, 1, size)
    backup = _find_backup(cache, primary, size, total)
    mbr = cache.peek(0, min(MBR_SIZE, cache.size))
    table, source = _choose(cache, primary, backup, size, total)
    signature = "" if table is None or table.backup_lba == total - 1 else end_signature(cache)
    found = Examination(size, total, mbr, primary, backup, table, source, end_signature=signature)
    is_whole = primary.valid and backup.valid and _same_contents(found)
    occupied = () if table is None or is_whole else _occupied(cache, found)
    findings = (*primary.findings, *backup.findings, *occupied, *_disk_findings(found, is_whole=is_whole))
    left_alone = tuple(finding.where for finding in occupied if finding.code == "occupied")
    return found._replace(findings=findings, left_alone=left_alone)


def _occupied(cache: SectorCache, found: Examination) -> tuple[Finding, ...]:
    from gptlib.read.occupied import occupied_places

    return tuple(occupied_places(cache, found))


def end_signature(cache: SectorCache) -> str:
    """What other formats have left at the end of the disk, in words; empty where nothing known has been."""
    from gptlib.read.signatures import signature_at_end

    def peek(offset: int, length: int) -> bytes:
        # Direct I/O reads whole sectors, and signatures stand where sectors of 512 bytes begin, or in the middle of them.
        first = offset - offset % _LARGEST_SECTOR
        end = min(-(-(offset + length) // _LARGEST_SECTOR) * _LARGEST_SECTOR, cache.size)
        return cache.peek(first, end - first)[offset - first :][:length] if offset < end else b""

    return signature_at_end(peek, cache.size)


def _find_backup(cache: SectorCache, primary: Copy, size: int, total: int) -> Copy:
    """The backup where the primary says, else at the end of the disk."""
    last = max(total - 1, 1)
    named = primary.header.alternate_lba if primary.header is not None and primary.header_ok else last
    if not 1 < named < total:
        named = last
    twin = primary if primary.entries_ok else None
    backup = validate_copy(cache, BACKUP, named, size, twin)
    if named != last and not backup.valid and not backup.ignored:
        at_end = validate_copy(cache, BACKUP, last, size, twin)
        if at_end.valid:
            return at_end
    return backup


def _choose(cache: SectorCache, primary: Copy, backup: Copy, size: int, total: int) -> tuple[Table | None, str]:
    if primary.valid:
        return _table(cache, primary, backup, primary.entries, size, total), PRIMARY
    if backup.valid:
        return _table(cache, backup, primary, backup.entries, size, total), BACKUP
    for copy, other in ((primary, backup), (backup, primary)):
        entries = _entries_elsewhere(cache, copy, other, size)
        if entries is not None:
            return _table(cache, copy, other, entries, size, total), COMBINED
    return None, ""


def _entries_elsewhere(cache: SectorCache, copy: Copy, other: Copy, size: int) -> bytes | None:
    """The entries that a valid header with a bad array of its own names, where the other copy has them."""
    header = copy.header
    if header is None or not copy.header_ok or copy.entries_ok or other.ignored:
        return None
    length = header.array_bytes
    for lba in _places_of_other_entries(copy, header, size):
        entries = cache.peek(lba * size, length)
        if len(entries) == length and crc32(entries) == header.partition_entry_array_crc32:
            return entries
    return None


def _places_of_other_entries(copy: Copy, header: Header, size: int) -> tuple[int, ...]:
    """Where the array of the other copy can stand when its header is lost: the usual places of all known writers."""
    sectors = array_sectors(header.array_bytes, size)
    if copy.where == PRIMARY:
        return header.alternate_lba - sectors, header.last_usable_lba + 1
    return 2, header.first_usable_lba - sectors


def _table(cache: SectorCache, copy: Copy, other: Copy, entries: bytes, size: int, total: int) -> Table:
    """The table of the header of ``copy``, with the place of the other copy as it says itself or as is usual."""
    header = copy.header
    if header is None:
        raise TypeError("a table needs a header")
    if other.header is not None and other.header_ok:
        other_entries = other.header.partition_entry_lba
    else:
        other_entries = _places_of_other_entries(copy, header, size)[0]
    own_tail = _tail(copy.sector)
    other_tail = _tail(other.sector) if other.header_ok else own_tail
    is_primary = copy.where == PRIMARY
    # Not checked: a lost copy may have its place before the first sector.
    table = unchecked(
        Table,
        sector_size=size,
        total_sectors=total,
        disk_guid=Guid(header.disk_guid),
        first_usable_lba=header.first_usable_lba,
        last_usable_lba=header.last_usable_lba,
        entries=EntryArray(entries, header.size_of_partition_entry, header.partition_entry_array_crc32),
        primary_entries_lba=header.partition_entry_lba if is_primary else other_entries,
        backup_entries_lba=other_entries if is_primary else header.partition_entry_lba,
        backup_lba=(other.lba if other.valid else header.alternate_lba) if is_primary else copy.lba,
        revision=header.revision,
        header_size=header.header_size,
        reserved=header.reserved,
        primary_tail=own_tail if is_primary else other_tail,
        backup_tail=other_tail if is_primary else own_tail,
    )
    return table if other.header_ok else _with_likely_place(cache, table, copy, header)


def _with_likely_place(cache: SectorCache, table: Table, copy: Copy, header: Header) -> Table:
    """The table with the array of the copy whose header is lost where its bytes, or the rest of them, are found."""
    from gptlib.read.occupied import likely_place

    lba = likely_place(cache, _places_of_other_entries(copy, header, table.sector_size), table)
    return table._replace(backup_entries_lba=lba) if copy.where == PRIMARY else table._replace(primary_entries_lba=lba)


def _tail(sector: bytes) -> bytes:
    tail = sector[HEADER_SIZE:]
    # Nearly always zeros, which rstrip takes off one by one: of 4 KiB that takes longer than the CRC of the entries.
    return b"" if tail == bytes(len(tail)) else tail.rstrip(b"\0")


def _disk_findings(state: Examination, *, is_whole: bool) -> Iterator[Finding]:
    table = state.table
    if table is not None:
        last = state.total_sectors - 1
        if table.backup_lba > last or table.last_usable_lba > last:
            end = max(table.backup_lba, table.last_usable_lba)
            message = (
                f"the table needs {end + 1} sectors but the disk ends after {state.total_sectors}: it was truncated"
            )
            yield Finding("disk-truncated", ERROR, "disk", message)
        elif table.backup_lba != last and not state.backup.ignored:
            message = (
                f"the backup stands in sector {table.backup_lba}, not in the last one ({last}): the disk has grown"
            )
            if state.end_signature:
                message += f"; it stays there, as the disk ends with {state.end_signature}"
            yield Finding("backup-not-at-end", WARNING, "disk", message)
        if not is_whole and state.primary.valid and state.backup.valid:
            yield Finding("copies-differ", WARNING, "disk", "both copies are valid but differ; the primary is used")
    if state.has_signature:
        yield from _mbr_findings(state)


def _same_contents(state: Examination) -> bool:
    one, two = state.primary.header, state.backup.header
    if one is None or two is None:
        return False
    in_place = one.alternate_lba == state.backup.lba and two.alternate_lba == 1
    return in_place and one.describes_same_table(two) and state.primary.entries == state.backup.entries


def _mbr_findings(state: Examination) -> Iterator[Finding]:
    if len(state.mbr) < MBR_SIZE:
        yield Finding("unreadable", WARNING, "mbr", "the MBR in sector 0 cannot be read; it is left as it is")
        return
    kind = classify(state.mbr)
    if kind in {ABSENT, FOREIGN}:
        message = "there is no protective MBR: the firmware and the kernel may not see this table"
        yield Finding(f"mbr-{kind}", WARNING, "mbr", message)
    elif kind == HYBRID:
        yield Finding("mbr-hybrid", NOTE, "mbr", "the MBR is a hybrid one; it is left as it is")
    else:
        size = protected_sectors(state.mbr)
        expected = protective_size(state.total_sectors)
        if size not in {expected, 0xFFFFFFFF}:
            message = f"the protective MBR covers {size} sectors; expected {expected}"
            yield Finding("mbr-size", NOTE, "mbr", message)
