"""Where a table may be written: the one rule that every write of a table passes, by whatever command.

1. The places of a copy are those that its own valid header names. They are never moved without being asked, but for the
   backup of a disk that was grown or cut off.
2. No write of a table goes into a partition of that table (UEFI 2.10, 5.3.3: partitions lie in the usable range). Where it
   would have to, nothing is written.
3. A copy without a valid header has a guessed place, and a damaged array may hold what somebody put there: what is neither
   zero nor recognisably part of a table is left alone (``gptlib.read.occupied``), and the other copy is changed on its own
   (``gptlib.write.single_copy``).
4. The backup of a grown disk moves to the end only where no signature stands there (``gptlib.read.signatures``).
"""

from __future__ import annotations

from gptlib.errors import TableError, TruncatedDiskError
from gptlib.layout.compiled import HEADER_SIZE
from gptlib.table.structures import Structure, structures
from gptlib.table.table import MAX_ARRAY_BYTES, valid_entry_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from gptlib.table.table import Table
    from gptlib.write.plan import Epoch


def places(table: Table) -> tuple[int, int, int, int]:
    """What makes the ``structures`` of a table, to be compared."""
    return table.entries_sectors, table.primary_entries_lba, table.backup_entries_lba, table.backup_lba


def check_places(
    path: str, table: Table, left_alone: Collection[str] = (), ignored: Collection[str] | None = None
) -> None:
    """Refuse a table that cannot be written where it says that it stands. Nothing has been written then.

    Copies that are ``left_alone`` are not looked at, but that they are in no partition, unless they are ``ignored`` (by
    default those left alone). Raises TruncatedDiskError when the disk ends before the table does, TableError when no reader
    would accept the headers, or when a header or an array would stand on another one or in a partition.
    """
    _check_shape(path, table)
    needed = max(table.backup_lba, table.last_usable_lba) + 1
    if needed > table.total_sectors:
        raise TruncatedDiskError(path, sectors=table.total_sectors, needed=needed)
    found = structures(table, left_alone)
    for number, one in enumerate(found):
        if one.first < 1 or one.last >= table.total_sectors:
            raise TableError(f"{path}: the {one} would stand outside the disk of {table.total_sectors} sectors")
        for other in found[:number]:
            if one.first <= other.last and other.first <= one.last:
                raise TableError(f"{path}: the {other} and the {one} would stand on each other")
    check_outside_partitions(path, table, left_alone if ignored is None else ignored)


def check_outside_partitions(path: str, table: Table, ignored: Collection[str] = ()) -> None:
    """Refuse a table of which a copy, unless it is ``ignored``, has its place in a partition. Raises TableError.

    A copy that is left alone for now is looked at as well: whether it may be written does not depend on what the partition
    holds.
    """
    span = _span(table)
    for structure in structures(table, ignored):
        _check_outside(path, table, span, structure)


def is_outside_partitions(table: Table, ignored: Collection[str] = ()) -> bool:
    """Whether ``check_outside_partitions`` would let the table pass."""
    return all(in_partition(table, one.first, one.last) is None for one in structures(table, ignored))


def in_partition(table: Table, first: int, last: int) -> int | None:
    """The number of a partition that shares a sector with ``first`` to ``last``; None where there is none."""
    for index, partition in table.partitions.items():
        start, end = partition.first_lba, partition.last_lba
        # An entry that ends before it starts covers nothing, or, for another reader, both of its ends.
        if (start <= last and first <= end) or (start > end and (first <= start <= last or first <= end <= last)):
            return index
    return None


def check_room(path: str, table: Table) -> None:
    """Refuse places that no reader expects: arrays stand between their header and the usable sectors.

    For places that somebody asks for. Those that a valid header names are written where they are. Raises TableError.
    """
    length, first, last = table.entries_sectors, table.first_usable_lba, table.last_usable_lba
    if not 2 <= table.primary_entries_lba <= first - length:
        end = table.primary_entries_lba + length - 1
        raise TableError(
            f"{path}: the primary entries (sectors {table.primary_entries_lba} to {end}) do not fit before the first usable "
            f"sector {first}"
        )
    if not last < table.backup_entries_lba <= table.backup_lba - length:
        raise TableError(
            f"{path}: the backup entries ({length} sectors from {table.backup_entries_lba}) do not fit between the last usable "
            f"sector {last} and the backup header in sector {table.backup_lba}"
        )


def check_writes(path: str, table: Table, epochs: Iterable[Epoch]) -> None:
    """The last gate before a write: refuse it where any sector lies in a partition of ``table``. Raises TableError."""
    span = _span(table)
    for epoch in epochs:
        for write in epoch:
            last = write.lba - (-len(write.data) // table.sector_size) - 1
            _check_outside(path, table, span, Structure("part to be written", write.lba, last))


def is_writable(table: Table, left_alone: Collection[str] = ()) -> bool:
    """Whether ``check_places`` would let the table pass."""
    try:
        check_places("", table, left_alone)
    except (TruncatedDiskError, TableError):
        return False
    return True


def _span(table: Table) -> tuple[int, int]:
    """The lowest and the highest sector of all partitions: what lies outside need not be compared with each of them."""
    ends = [lba for partition in table.partitions.values() for lba in (partition.first_lba, partition.last_lba)]
    return (min(ends), max(ends)) if ends else (1, 0)


def _check_outside(path: str, table: Table, span: tuple[int, int], place: Structure) -> None:
    first, last = place.first, place.last
    index = None if last < span[0] or first > span[1] else in_partition(table, first, last)
    if index is not None:
        start, end = table.partitions[index].first_lba, table.partitions[index].last_lba
        raise TableError(
            f"{path}: partition {index} (sectors {start} to {end}) reaches into sectors {first} to {last}, where the "
            f"{place.name} would have to stand; nothing was written, make partition {index} smaller or remove it first"
        )


def _check_shape(path: str, table: Table) -> None:
    entries, first, last = table.entries, table.first_usable_lba, table.last_usable_lba
    if table.revision >> 16 != 1 or not HEADER_SIZE <= table.header_size <= table.sector_size:
        raise TableError(
            f"{path}: no reader takes headers of revision {table.revision:#x} and {table.header_size} bytes"
        )
    if not valid_entry_size(entries.entry_size) or not 0 < len(entries) <= MAX_ARRAY_BYTES:
        raise TableError(f"{path}: no reader takes {entries.capacity} entries of {entries.entry_size} bytes")
    if not 2 < first <= last + 1:
        raise TableError(f"{path}: no reader takes a table whose usable sectors are {first} to {last}")
