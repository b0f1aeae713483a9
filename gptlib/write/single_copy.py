"""A change where one copy must be left alone: the other one, the only table of the disk, is never torn.

An array and its header cannot be written at once, and with a second copy out of reach nothing would be valid in between. So the
array is used as two halves. The header, one sector that a disk writes whole or not at all, is first made to name the first half
alone; the new entries go into the second half, the header switches to it, the entries go into the first half, the header
switches back, the second half is zeroed, and the header names the whole array again. A power cut leaves the old or the new
table, complete, and no sector outside of the array and the header is touched.
"""

from __future__ import annotations

from gptlib.errors import TableError
from gptlib.table.header import encode_header
from gptlib.table.partition import EntryArray
from gptlib.table.structures import PRIMARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table
    from gptlib.write.plan import Region


def plan_single(path: str, old: Table, new: Table, where: str) -> list[list[Region]]:
    """The steps that turn the copy ``where``, which is valid and holds ``old``, into ``new``.

    Raises TableError where entries of the second half of the array are used.
    """
    primary = where == PRIMARY
    header_lba = 1 if primary else new.backup_lba
    first = new.entries_lba(primary=primary)
    if _places(old, primary=primary) != _places(new, primary=primary):
        raise TableError(f"{path}: only the {where} can be written, and it cannot move; nothing was written")

    def header(table: Table, lba: int) -> Region:
        placed = table._replace(primary_entries_lba=lba) if primary else table._replace(backup_entries_lba=lba)
        return header_lba, encode_header(placed, primary=primary)

    if new.entries == old.entries:
        return [[header(new, first)]]
    sectors, length = _half(path, old, new, where)
    second = first + sectors
    half_old, half_new = (_shortened(table, length) for table in (old, new))
    return [
        [header(half_old, first)],
        [(second, half_new.entries)],
        [header(half_new, second)],
        [(first, half_new.entries)],
        [header(half_new, first)],
        [(second, new.entries[sectors * new.sector_size :])],
        [header(new, first)],
    ]


def _places(table: Table, *, primary: bool) -> tuple[int, int, tuple[int, int]]:
    return (1 if primary else table.backup_lba), table.entries_lba(primary=primary), table.array_shape


def _shortened(table: Table, length: int) -> Table:
    return table._replace(entries=EntryArray(table.entries[:length], table.entries.entry_size))


def _half(path: str, old: Table, new: Table, where: str) -> tuple[int, int]:
    """Where the second half of the array begins, in sectors, and how many bytes both halves have room for."""
    size, entry_size = new.sector_size, new.entries.entry_size
    step = max(size, entry_size)
    second = -(-len(new.entries) // 2 // step) * step
    length = len(new.entries) - second
    if length <= 0 or any(old.entries[length:]) or any(new.entries[length:]):
        raise TableError(
            f"{path}: only the {where} can be written, and its array of {new.entries.capacity} entries has no room to change it "
            f"without a moment in which the disk has no table (that takes entries up to number {max(length, 0) // entry_size} at "
            "most); nothing was written ('gptctl verify' tells what is in the way of the other copy)"
        )
    return second // size, length
