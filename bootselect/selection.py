"""Selects a slot on a disk: decides in memory, accounts for the try with one durable write."""

from __future__ import annotations

from bootselect.errors import NothingBootableError, reason_of
from bootselect.policy import Choice, best_proven, choose, may_be_chosen_already
from bootselect.slots import require_slots, slots_of
from gptlib._record import Record
from gptlib.disk import Disk
from gptlib.errors import BusyError, ReadOnlyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bootselect.policy import Policy, Slot
    from gptlib.read.state import State
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


class Selection(Record):
    """A slot that may be booted now. ``table`` is the table of the disk afterwards.

    ``problem`` is empty, or says why nothing could be written; the slot is then one that has proved itself. ``notices`` say
    what the write had to leave alone.
    """

    number: int
    table: Table
    reason: str
    problem: str = ""
    notices: tuple[str, ...] = ()


def open_for_selection(path: str, *, lock_deadline: float) -> tuple[Disk, str]:
    """Open for writing, or for reading with the reason why it cannot be written. Raises gptlib's TargetError."""
    try:
        return Disk.open(path, write=True, lock_deadline=lock_deadline), ""
    except (ReadOnlyError, BusyError, OSError) as error:
        return Disk.open(path), reason_of(error)


def propose(
    path: str, state: State, policy: Policy, type_guid: Guid, excluded: Collection[int] = ()
) -> tuple[Choice, list[Slot], Table]:
    """What the policy chooses among the slots that are not ``excluded``; nothing is written.

    Raises NoSlotsError or NothingBootableError.
    """
    table = state.table
    slots = require_slots(path, table, type_guid)
    candidates = [slot for slot in slots if slot.number not in excluded]
    choice = choose(policy, candidates)
    if choice is None:
        raise NothingBootableError(path, describe(table, slots))
    return choice, candidates, table


def select(
    disk: Disk, policy: Policy, type_guid: Guid, *, unwritable: str = "", excluded: Collection[int] = ()
) -> Selection:
    """Choose the next slot of ``disk`` and account for the try before it is returned.

    A damaged copy of the table is repaired by the same write. Where the try cannot be made durable (``unwritable`` gives
    the reason, or the write fails), the best proven slot is selected instead: an unproven slot is never booted on
    credit. Raises NoSlotsError, NothingBootableError, or gptlib's NotGptError and CorruptGptError.

    After a power cut the try has been accounted for or not; the table is complete for every reader in both cases.
    """
    choice, candidates, table = propose(disk.path, disk.read(), policy, type_guid, excluded)
    wanted = table.with_attributes(choice.number, choice.attributes)
    problem = unwritable or _write(disk, wanted)
    if not problem:
        return Selection(choice.number, wanted, choice.reason, notices=disk.notices)
    if wanted == table:
        return Selection(choice.number, table, choice.reason, problem)
    proven = best_proven(candidates)
    if proven is None:
        raise NothingBootableError(
            disk.path,
            f"{describe(table, candidates)}; the try of partition {choice.number} cannot be recorded: {problem}",
        )
    reason = f"partition {choice.number} was due, but its try cannot be recorded; this one is known to boot"
    return Selection(proven.number, table, reason, problem)


def take(
    disk: Disk,
    policy: Policy,
    type_guid: Guid,
    chosen: Sequence[str],
    handed_over: str = "",
    *,
    refuse: Callable[[str], None],
) -> Selection | None:
    """The slot that has been chosen and accounted for already, by the first of these partition UUIDs in lower case that can be.

    ``chosen`` are those by which a boot loader names it, ``handed_over`` is that of our own selector, which may choose any. Which
    slots were named but cannot have been chosen is told to ``refuse``. None when no slot is left. No try is accounted for;
    a damaged copy of the table is repaired.
    """
    if not handed_over and not chosen:
        return None
    table = disk.table()
    slots = {table.partition(slot.number).unique_guid.text: slot for slot in reversed(slots_of(table, type_guid))}
    for partuuid in (handed_over, *chosen):
        slot = slots.get(partuuid)
        if slot is None:
            continue
        if partuuid != handed_over and not may_be_chosen_already(policy, slot.attributes):
            refuse(
                f"{describe(table, [slot])} (partition {slot.number}) is named on the command line, but with priority 0 no boot "
                "loader chooses it"
            )
            continue
        who = "the selector before this one" if partuuid == handed_over else "the boot loader"
        problem = _write(disk, table) if disk.writable else ""
        return Selection(slot.number, table, f"{who} chose it ({partuuid} on the command line)", problem)
    return None


def _write(disk: Disk, table: Table) -> str:
    try:
        disk.write(table)
    except Exception as error:  # noqa: BLE001  (whatever it was, the try is not known to be on the disk)
        return reason_of(error)
    return ""


def describe(table: Table, slots: list[Slot]) -> str:
    """The slots on one line, as ``USR-A 1/0/1, USR-B 0/0/0``."""
    return ", ".join(f"{table.partitions[slot.number].label} {slot.attributes.short}" for slot in slots)
