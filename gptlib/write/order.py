"""Which piece of the primary is written first: what CoreOS's ``cgpt next`` can live with.

Every other reader takes the table from one copy whose CRCs fit. That one, a power cut behind a new H1, takes the UUID from the
entries that are valid, but the number of the slot from the primary entries, be they torn or of the other table. So

- the chosen slot must have the same UUID in both arrays while they differ. Written the usual way (backup, H1, E1) it is the
  old slot that is looked up in the new entries: of one that is removed nothing is left there but zeros. Such a table is written
  *entries first*: E1, H1, then the backup. Then it is the new slot that is looked up in the old entries. Whoever reads whole
  copies finds the old table in the backup, with which the old H1 agrees, until E1 and H1 are both new. Where a slot
  comes and another one goes, the UUID of the one is first put under its number while that is still unused, or that of the other
  is left there until the new table is complete; to everybody else an unused entry does not count.
- where several sectors of E1 change, no mixture of old and new ones may have a third slot on top. If the new choice
  outranks the old one, its sector comes first; else that of the old one comes last, with a flush of its own. Then
  nobody is above one of the two: the others have either their old rank, below the old choice, or their new one, below the new.

No order spares a change that gives the number of the old choice to another UUID *and* puts the new choice under a number that had
another, as ``restore`` of an unrelated table may: tests/gptlib/crash/test_order.py tries them all.
"""

from __future__ import annotations

from gptlib._record import Record
from gptlib.table.partition import MIN_ENTRY_SIZE, decode_entry
from gptlib.table.types import COREOS_USR, type_guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.table.table import Table
    from gptlib.write.plan import Region

_SHAPE, _SECTOR, _PLACE = (128, MIN_ENTRY_SIZE), 512, 2
"""The only number and size of entries, sector size and LBA of the primary entries that it reads."""
_Rank = tuple[int, int]
"""Priority of a slot that has tries left or is successful, else -1; and its number, negative, as the first of equals wins."""
_NOBODY = (-2, 0)


class Order(Record):
    """How a table is written; as given by default in the usual way."""

    entries_first: bool = False
    """E1, H1, then the backup."""
    via: Table | None = None
    """A table that is written before, in the usual way. To other readers it is the old or the new one."""
    alone: int | None = None
    """The byte of E1 where a sector starts that is flushed on its own."""
    alone_first: bool = False
    """Whether that sector is the first of E1, or the last."""

    def arrange(self, steps: list[list[Region]], table: Table, *, entries_first: bool) -> list[list[Region]]:
        """The usual steps to write a table (backup, H1, E1) in this order."""
        *backup, header, entries = steps
        array = [self._part(table), entries]
        return [*array, header, *backup] if entries_first else [*backup, header, *array]

    def _part(self, table: Table) -> list[Region]:
        """What is written of E1 before the rest of it."""
        if self.alone is None:
            return []
        end, lba = self.alone + _SECTOR, _PLACE + self.alone // _SECTOR
        if self.alone_first:
            return [(lba, table.entries[self.alone : end])]
        return [(_PLACE, table.entries[: self.alone]), (lba + 1, table.entries[end:])]


def order_of(old: Table, new: Table, changed: Sequence[int]) -> Order:
    """How to write ``new`` over ``old``, both of whose copies are good; ``changed`` are the starts of the sectors of E1 that differ."""
    if not _is_looked_at(old) or not _is_looked_at(new) or new.array_shape != _SHAPE:
        return Order()
    before, after = _choice(old), _choice(new)
    entries_first, via = _way(old, new, -before[1], -after[1])
    top = max(after, before)
    alone = (-top[1] - 1) * MIN_ENTRY_SIZE // _SECTOR * _SECTOR
    return Order(entries_first, via, alone if len(changed) > 1 and alone in changed else None, top == after)


def _way(old: Table, new: Table, before: int, after: int) -> tuple[bool, Table | None]:
    """Whether entries come first, and what is written before; ``before`` and ``after`` are the numbers chosen, 0 for none."""
    # An old table that it refuses names nobody, until the new one does.
    known = old.array_shape == _SHAPE
    named = (_uuid(new, after), _uuid(old, before) if known else b"")
    if not before or _uuid(new, before) in named:
        return False, None
    first: Table | None = old
    if known and after and _uuid(old, after) not in named:
        first = None if old.entries.is_used(after) else _prepared(old, after, new)
    if first is not None and old.backup_lba != new.backup_lba:
        first = _moved(first, new)
    if first is not None and not _covers_partitions(old, new):
        return True, None if first is old else first
    if known and not new.entries.is_used(before):
        return False, _prepared(new, before, old)
    return False, None


def _is_looked_at(table: Table) -> bool:
    return (table.sector_size, table.primary_entries_lba, table.entries.entry_size) == (_SECTOR, _PLACE, MIN_ENTRY_SIZE)


def _choice(table: Table) -> _Rank:
    """The slot with the highest rank among the entries that are looked at."""
    kind = type_guid(COREOS_USR)
    slots = [(p.attributes, n) for n, p in table.partitions.items() if p.type_guid == kind and n <= _SHAPE[0]]
    return max([(bits.priority if bits.tries or bits.successful else -1, -n) for bits, n in slots], default=_NOBODY)


def _uuid(table: Table, number: int) -> bytes:
    """What the entry of this number has as its UUID, used or not; nothing for number 0."""
    return decode_entry(table.entries.raw_entry(number)).unique_partition_guid if number else b""


def _prepared(table: Table, number: int, other: Table) -> Table:
    """The table with the UUID that ``other`` has under this number, which is unused and stays so."""
    entries = table.entries
    raw = decode_entry(entries.raw_entry(number))._replace(unique_partition_guid=_uuid(other, number))
    return table._replace(entries=entries.with_raw(number, raw))


def _moved(old: Table, new: Table) -> Table | None:
    """The old table with its backup where the new one has it; None where it does not fit there."""
    beyond = any(partition.last_lba > new.last_usable_lba for partition in old.partitions.values())
    if beyond or old.array_shape != new.array_shape or old.first_usable_lba > new.last_usable_lba:
        return None
    return old._replace(
        total_sectors=new.total_sectors,
        last_usable_lba=new.last_usable_lba,
        backup_entries_lba=new.backup_entries_lba,
        backup_lba=new.backup_lba,
    )


def _covers_partitions(old: Table, new: Table) -> bool:
    """Whether the new entries stand where the old table has partitions, which are to stay whole as long as it is the table."""
    end = _PLACE + new.entries_sectors
    return any(partition.first_lba < end for partition in old.partitions.values())
