"""Headers that a table for another sector size left on a disk, and that a prober might take for the table.

A table for 4096-byte sectors covers neither byte 512, where the primary header for 512-byte sectors stood, nor, with a
small entry array, the place of the other backup; and the other way round.
"""

from __future__ import annotations

from gptlib.table.header import SIGNATURE, is_intact
from gptlib.table.table import SECTOR_SIZES
from gptlib.write.placement import in_partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.read.sectors import SectorCache
    from gptlib.table.table import Table
    from gptlib.write.plan import Region


_WIPED = min(SECTOR_SIZES)
"""Bytes of such a header that are zeroed: all of its fields are in them."""


def find_stale_headers(cache: SectorCache, table: Table, *others: Table) -> list[Region]:
    """Sectors of the disk of ``table`` with such headers zeroed. What lies in a partition of it or of ``others`` is left alone."""
    size, found = table.sector_size, []
    for other in SECTOR_SIZES:
        if other == size:
            continue
        for offset in (other, cache.size // other * other - other):
            lba, at = divmod(offset, size)
            header = cache.peek(offset, other) if offset > 0 else b""
            if not header.startswith(SIGNATURE) or not is_intact(header, offset // other):
                continue  # No prober takes this for a table: it is not ours.
            if not all(_is_ours_to_wipe(one, lba) for one in (table, *others)):
                continue
            length = -(-(at + _WIPED) // size) * size
            sector = bytearray(cache.peek(lba * size, length))
            sector[at : at + _WIPED] = bytes(_WIPED)
            found.append((lba, bytes(sector)))
    return found


def _is_ours_to_wipe(table: Table, lba: int) -> bool:
    # The new backup is written over its own sectors before; the new primary comes after and is welcome to them.
    if lba >= table.total_sectors:
        return False
    in_backup = table.backup_entries_lba <= lba < table.backup_entries_lba + table.entries_sectors
    if in_backup or lba == table.backup_lba:
        return False
    return in_partition(table, lba, lba) is None
