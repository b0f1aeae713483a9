"""Checks of a table as a whole, beyond the validity of its copies."""

from __future__ import annotations

from gptlib.findings import ERROR, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table import Table


def table_findings(table: Table) -> Iterator[Finding]:
    """Overlaps, places out of range, ends before starts, duplicate GUIDs: one finding each."""

    def finding(code: str, message: str) -> Finding:
        return Finding(code, ERROR, "table", message)

    seen: dict[bytes, int] = {}
    previous: tuple[int, int] | None = None
    in_order = sorted(table.partitions.items(), key=lambda item: (item[1].first_lba, item[0]))
    for index, partition in in_order:
        first, last = partition.first_lba, partition.last_lba
        if first > last:
            yield finding("reversed", f"partition {index} ends (sector {last}) before it starts (sector {first})")
            continue
        if first < table.first_usable_lba or last > table.last_usable_lba:
            usable = f"{table.first_usable_lba} to {table.last_usable_lba}"
            yield finding(
                "out-of-range", f"partition {index} (sectors {first} to {last}) leaves the usable range {usable}"
            )
        if last >= table.total_sectors:
            end = table.total_sectors
            yield finding(
                "beyond-end", f"partition {index} (sectors {first} to {last}) leaves the disk of {end} sectors"
            )
        if previous is not None and first <= previous[0]:
            yield finding("overlap", f"partition {index} (sectors {first} to {last}) overlaps partition {previous[1]}")
        if previous is None or last > previous[0]:
            previous = (last, index)
        if partition.unique_guid in seen:
            other = seen[partition.unique_guid]
            yield finding(
                "duplicate-guid", f"partitions {other} and {index} have the same GUID {partition.unique_guid}"
            )
        seen.setdefault(partition.unique_guid, index)
