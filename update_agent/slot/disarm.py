"""Takes a slot out of use that was armed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootselect import verbs
from gptlib.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootselect.slot_disk import SlotDisk
    from gptlib.table.table import Table


def disarm(found: SlotDisk, uuid: str, tell: Callable[[str], None]) -> None:
    """Make the slot with this partition UUID (lower case) 0/0/0 on the disk; one that is not there any more is none.

    Raises what gptlib raises; the disk then holds the old or the new table.
    """

    def cleared(table: Table) -> Table:
        number = next((n for n, one in table.partitions.items() if one.unique_guid.text == uuid), None)
        return table if number is None else verbs.clear(table, number)

    before, after = found.change(cleared, tell)
    if before == after:
        # Who wrote 0/0/0 may have been killed before it was flushed.
        with Disk.open(found.path) as disk:
            disk.device.flush()
