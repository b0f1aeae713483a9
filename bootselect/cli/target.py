"""What a command works on: a disk or image, its slots, and which of them is meant."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.active import find_active, find_running
from bootselect.cli.terminal import say
from bootselect.errors import ActiveUnknownError, RefusedError
from bootselect.slots import find_slot, require_slots
from gptlib.disk import Disk
from gptlib.linux.resolve import resolve_target

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bootselect.policy import Slot
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


@dataclass(frozen=True)
class SlotDisk:
    """A disk with slots. ``active`` and ``node`` are partition numbers or None.

    ``path`` is the device or image file itself, whatever name was given. ``active`` is the slot that the running system came
    from, where that is on this disk; ``running`` are all partitions of this disk that it may come from (the decision of the
    selector and what is mounted can differ); ``node`` is the partition whose node was given as the target.
    """

    path: str
    type_guid: Guid
    active: int | None
    node: int | None
    running: frozenset[int] = frozenset()

    @classmethod
    def find(cls, target: str | None, type_guid: Guid) -> SlotDisk:
        """Resolve a target, or without one the disk that the running system came from.

        Raises gptlib's TargetError, or ActiveUnknownError without a target on a system that was not booted from a slot. With
        a target it does not matter what the system was booted from, unless it is this disk.
        """
        resolved = resolve_target(find_active().disk if target is None else target)
        numbers = [active.number for active in find_running() if _same_disk(active.disk, resolved.path)]
        node = None if target is None else resolved.partition
        return cls(resolved.path, type_guid, numbers[0] if numbers else None, node, frozenset(numbers))

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
        passive = [other.number for other in self.slots(table) if other.number not in self.running]
        if number is None and self.active is not None and len(passive) == 1:
            return passive[0]
        if number is None:
            raise RefusedError(f"{self.path}: which slot is meant? Give one with --slot (number, label or UUID)")
        if number in self.running:
            raise RefusedError(
                f"{self.path}: partition {number} is the active slot; an update goes into a passive one (--slot)"
            )
        return number

    def decide(self, table: Table, verb: Callable[[Table], Table]) -> Table:
        """What ``verb`` makes of a table, in memory. Raises what it raises; a refusal names the disk."""
        try:
            return verb(table)
        except RefusedError as error:
            raise RefusedError(str(error) if str(error).startswith(self.path) else f"{self.path}: {error}") from error

    def change(
        self,
        verb: Callable[[Table], Table],
        writing: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> tuple[Table, Table]:
        """Read, decide in memory, write once, inside a context that ``writing`` makes: the table before and after.

        What had to be left alone is told on stderr. Raises what ``verb`` and gptlib raise; after an error or a power cut the
        disk holds the old or the new table.
        """
        with Disk.open(self.path, write=True) as disk:
            old = disk.table()
            self.slots(old)
            new = self.decide(old, verb)
            with writing():
                disk.write(new)
        for notice in disk.notices:
            say(f"bootselect: {self.path}: {notice}", err=True)
        return old, new


def _same_disk(one: str, other: str) -> bool:
    try:
        first, second = os.stat(one), os.stat(other)  # noqa: PTH116
    except OSError:
        return False
    if stat.S_ISBLK(first.st_mode) and stat.S_ISBLK(second.st_mode):
        return first.st_rdev == second.st_rdev
    return os.path.samestat(first, second)
