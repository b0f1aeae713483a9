"""Checks of a table as a whole, beyond the validity of its copies."""

from __future__ import annotations

from gptlib.read.findings import ERROR, Finding
from gptlib.table.structures import MBR, structures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table.table import Table


def table_findings(table: Table) -> Iterator[Finding]:
    """Overlaps, places out of range or over the table itself, ends before starts, duplicate GUIDs: one finding each.

    A sound table has none:

        >>> from gptlib import Table
        >>> list(table_findings(Table.new(total_sectors=2048)))
        []
    """
    for finding, _ in _with_numbers(table):
        yield finding


def slot_findings(table: Table, number: int) -> list[Finding]:
    """Those of ``table_findings`` that concern one partition: with any of them, to write it may destroy something else.

    Raises TableError when there is no such partition.
    """
    table.partition(number)
    return [finding for finding, numbers in _with_numbers(table) if number in numbers]


def _with_numbers(table: Table) -> Iterator[tuple[Finding, tuple[int, ...]]]:
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
            covered = [f"the {one}" for one in (MBR, *structures(table)) if first <= one.last and one.first <= last]
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
