"""What a command works on: a disk or image, its slots, and which of them is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.active import find_active
from bootselect.cli.show import show_notices
from bootselect.errors import ActiveUnknownError, RefusedError
from bootselect.slots import find_slot, require_slots
from gptlib.disk import Disk
from gptlib.resolve import resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootselect.policy import Slot
    from gptlib.guid import Guid
    from gptlib.table import Table


@dataclass(frozen=True)
class SlotDisk:
    """A disk with slots. ``active`` and ``node`` are partition numbers or None.

    ``active`` is the slot that the running system came from, where that is on this disk; ``node`` is the partition whose
    node was given as the target.
    """

    path: str
    type_guid: Guid
    active: int | None
    node: int | None

    @classmethod
    def find(cls, target: str | None, type_guid: Guid) -> SlotDisk:
        """Resolve a target, or without one the disk that the running system came from.

        Raises gptlib's TargetError, or ActiveUnknownError without a target on a system that was not booted from a slot.
        """
        if target is None:
            active = find_active()
            return cls(active.disk, type_guid, active.number, None)
        resolved = resolve_target(target)
        try:
            active = find_active()
        except ActiveUnknownError:
            return cls(resolved.path, type_guid, None, resolved.partition)
        number = active.number if _same_disk(active.disk, resolved.path) else None
        return cls(resolved.path, type_guid, number, resolved.partition)

    def slots(self, table: Table) -> list[Slot]:
        """The slots. Raises NoSlotsError."""
        return require_slots(self.path, table, self.type_guid)

    def named(self, table: Table, slot: str | None) -> int | None:
        """The slot that a command line names, or the partition node it was given; None when it names none."""
        if slot is not None:
            return find_slot(self.path, table, self.slots(table), slot)
        if self.node is not None:
            return find_slot(self.path, table, self.slots(table), str(self.node))
        return None

    def named_or_active(self, table: Table, slot: str | None) -> int:
        """As ``named``, else the active slot. Raises ActiveUnknownError."""
        number = self.named(table, slot)
        if number is None:
            number = self.active
        if number is None:
            raise ActiveUnknownError(f"the running system did not come from {self.path}")
        return find_slot(self.path, table, self.slots(table), str(number))

    def named_or_passive(self, table: Table, slot: str | None) -> int:
        """As ``named``, else the only slot that is not active. Raises RefusedError for the active one, or where unclear."""
        number = self.named(table, slot)
        passive = [other.number for other in self.slots(table) if other.number != self.active]
        if number is None and self.active is not None and len(passive) == 1:
            return passive[0]
        if number is None:
            raise RefusedError(f"{self.path}: which slot is meant? Give one with --slot (number, label or UUID)")
        if number == self.active:
            raise RefusedError(f"{self.path}: partition {number} is the active slot; an update goes into a passive one")
        return number

    def change(self, decide: Callable[[Table], Table]) -> tuple[Table, Table]:
        """Read, decide in memory, write once: the table before and after.

        What had to be left alone is told on stderr. Raises what ``decide`` and gptlib raise; after an error or a power cut the
        disk holds the old or the new table.
        """
        with Disk.open(self.path, write=True) as disk:
            old = disk.table()
            self.slots(old)
            new = decide(old)
            disk.write(new)
        show_notices(disk)
        return old, new


def _same_disk(one: str, other: str) -> bool:
    return Path(one).exists() and Path(one).samefile(other)
