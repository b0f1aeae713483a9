"""What a command works on: a disk or image, its slots, and which of them is meant."""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bootselect.active import find_active, find_running
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
    """A disk with slots.

    ``path`` is the device or image file itself, whatever name was given; ``node`` is the number of the partition whose node was
    given as the target, or None. What the running system came from is looked for when it is asked for, once: a command that
    names its slot reads the table of its target and nothing else.
    """

    path: str
    type_guid: Guid
    node: int | None = None

    @classmethod
    def find(cls, target: str | None, type_guid: Guid) -> SlotDisk:
        """Resolve a target, or without one the disk that the running system came from.

        Raises gptlib's TargetError, or ActiveUnknownError without a target on a system that was not booted from a slot.
        """
        if target is None:
            return cls(resolve_target(find_active().disk).path, type_guid)
        resolved = resolve_target(target)
        return cls(resolved.path, type_guid, resolved.partition)

    @cached_property
    def running(self) -> tuple[int, ...]:
        """All partitions of this disk that the running system may come from, most likely first; empty where it came from another.

        The decision of the selector and what is mounted can differ. None of these is ever written.
        """
        return tuple(active.number for active in find_running() if _same_disk(active.disk, self.path))

    @property
    def active(self) -> int | None:
        """The number of the slot that the running system came from, where that is on this disk."""
        return self.running[0] if self.running else None

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
        """As ``named``, else the only slot that is not active. Raises RefusedError for the active one, or where unclear.

        What the running system came from is asked for in any case: another name of its disk must not get its slot written.
        """
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
        tell: Callable[[str], None],
        writing: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> tuple[Table, Table]:
        """Read, decide in memory, write once, inside a context that ``writing`` makes: the table before and after.

        ``tell`` is given one line for each thing that the write had to leave alone. Raises what ``verb`` and gptlib raise; after
        an error or a power cut the disk holds the old or the new table.
        """
        with Disk.open(self.path, write=True) as disk:
            old = disk.table()
            self.slots(old)
            new = self.decide(old, verb)
            with writing():
                disk.write(new)
        for notice in disk.notices:
            tell(f"{self.path}: {notice}")
        return old, new


def _same_disk(one: str, other: str) -> bool:
    try:
        first, second = os.stat(one), os.stat(other)  # noqa: PTH116
    except OSError:
        return False
    if stat.S_ISBLK(first.st_mode) and stat.S_ISBLK(second.st_mode):
        return first.st_rdev == second.st_rdev
    return os.path.samestat(first, second)
