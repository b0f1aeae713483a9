"""Checks of a table as a whole, beyond the validity of its copies."""

from __future__ import annotations

from gptlib.errors import TableError, TruncatedDiskError
from gptlib.findings import ERROR, Finding
from gptlib.table import HEADER_SIZE, MAX_ARRAY_BYTES, valid_entry_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table import Table


def table_findings(table: Table) -> Iterator[Finding]:
    """Overlaps, places out of range or over the table itself, ends before starts, duplicate GUIDs: one finding each."""
    for finding, _ in _judged(table):
        yield finding


def slot_findings(table: Table, number: int) -> list[Finding]:
    """Those of ``table_findings`` that concern one partition: with any of them, to write it may destroy something else.

    Raises TableError when there is no such partition.
    """
    table.partition(number)
    return [finding for finding, numbers in _judged(table) if number in numbers]


def _judged(table: Table) -> Iterator[tuple[Finding, tuple[int, ...]]]:
    """Each finding, and the numbers of the partitions that it concerns.

    Not every pair of partitions that overlap is named, but each that overlaps another is in one pair.
    """

    def finding(code: str, message: str, *numbers: int) -> tuple[Finding, tuple[int, ...]]:
        return Finding(code, ERROR, "table", message), numbers

    seen: dict[bytes, int] = {}
    previous: tuple[int, int] | None = None
    in_order = sorted(table.partitions.items(), key=lambda item: (item[1].first_lba, item[0]))
    for index, partition in in_order:
        first, last = partition.first_lba, partition.last_lba
        if first > last:
            yield finding(
                "reversed", f"partition {index} ends (sector {last}) before it starts (sector {first})", index
            )
            continue
        place = f"partition {index} (sectors {first} to {last})"
        if first < table.first_usable_lba or last > table.last_usable_lba:
            usable = f"{table.first_usable_lba} to {table.last_usable_lba}"
            yield finding("out-of-range", f"{place} leaves the usable range {usable}", index)
        else:
            # The headers of the two copies may differ: the usable range of one may hold the structures of the other.
            covered = [name for name, start, end in _structures(table) if first <= end and start <= last]
            if covered:
                yield finding("covers-table", f"{place} covers {' and '.join(covered)}", index)
        if last >= table.total_sectors:
            yield finding("beyond-end", f"{place} leaves the disk of {table.total_sectors} sectors", index)
        if previous is not None and first <= previous[0]:
            yield finding("overlap", f"{place} overlaps partition {previous[1]}", previous[1], index)
        if previous is None or last > previous[0]:
            previous = (last, index)
        if partition.unique_guid in seen:
            other = seen[partition.unique_guid]
            yield finding(
                "duplicate-guid",
                f"partitions {other} and {index} have the same GUID {partition.unique_guid}",
                other,
                index,
            )
        seen.setdefault(partition.unique_guid, index)


def _structures(table: Table) -> Iterator[tuple[str, int, int]]:
    """Name, first and last sector of everything on the disk that is no partition's."""
    length = table.entries_sectors
    yield "the MBR (sector 0)", 0, 0
    yield "the primary header (sector 1)", 1, 1
    for which, lba in (("primary", table.primary_entries_lba), ("backup", table.backup_entries_lba)):
        yield f"the {which} entries (sectors {lba} to {lba + length - 1})", lba, lba + length - 1
    yield f"the backup header (sector {table.backup_lba})", table.backup_lba, table.backup_lba


def check_writable(path: str, table: Table) -> None:
    """Refuse a table whose own structures would not fit where they say they stand.

    Raises TruncatedDiskError when the disk ends before the table does, TableError when an entry array would be written
    among the partitions or over a header, or when no reader would accept the headers.
    """
    entries, first, last = table.entries, table.first_usable_lba, table.last_usable_lba
    if table.revision >> 16 != 1 or not HEADER_SIZE <= table.header_size <= table.sector_size:
        raise TableError(
            f"{path}: no reader takes headers of revision {table.revision:#x} and {table.header_size} bytes"
        )
    if not valid_entry_size(entries.entry_size) or not 0 < len(entries) <= MAX_ARRAY_BYTES:
        raise TableError(f"{path}: no reader takes {entries.capacity} entries of {entries.entry_size} bytes")
    if not 2 < first <= last + 1:
        raise TableError(f"{path}: no reader takes a table whose usable sectors are {first} to {last}")
    needed = max(table.backup_lba, table.last_usable_lba) + 1
    if needed > table.total_sectors:
        raise TruncatedDiskError(path, sectors=table.total_sectors, needed=needed)
    length = table.entries_sectors
    if not 2 <= table.primary_entries_lba <= table.first_usable_lba - length:
        raise TableError(
            f"{path}: the primary entries (sectors {table.primary_entries_lba} to {table.primary_entries_lba + length - 1}) do "
            f"not fit before the first usable sector {table.first_usable_lba}"
        )
    if not table.last_usable_lba < table.backup_entries_lba <= table.backup_lba - length:
        raise TableError(
            f"{path}: the backup entries ({length} sectors from {table.backup_entries_lba}) do not fit between the last "
            f"usable sector {table.last_usable_lba} and the backup header in sector {table.backup_lba}"
        )


def is_writable(table: Table) -> bool:
    """Whether ``check_writable`` would let the table pass."""
    try:
        check_writable("", table)
    except (TruncatedDiskError, TableError):
        return False
    return True
