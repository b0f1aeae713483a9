"""What an operator or an update does to the slots: each verb takes a table and gives the changed one.

None of them writes to a disk; ``bootselect.slot_disk`` does, once. Called twice, each gives the same table again. Only the
slot bits change, and only ``arm``, ``prioritize`` and ``rollback`` touch a priority.
"""

from __future__ import annotations

from bootselect.errors import RefusedError
from bootselect.policy import Slot, best_proven
from bootselect.slots import slots_of
from gptlib.table.priorities import prioritize as renumber

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table

DEFAULT_TRIES = 3


def clear(table: Table, index: int) -> Table:
    """0/0/0: the state of a slot before the first byte of an update is written into it."""
    return table.with_slot(index, priority=0, tries=0, successful=False)


def arm(table: Table, type_guid: Guid, index: int, tries: int = DEFAULT_TRIES) -> Table:
    """Make a slot the next one to be tried: highest priority, ``tries`` tries, not successful; the others keep their order.

    Raises gptlib's InvalidValueError for tries outside 1..15, and RefusedError when no other slot is known to boot or the
    slot is in a place where nothing may be written (``require_sound``).
    """
    require_sound(table, index)
    if tries < 1:
        raise RefusedError(f"partition {index} cannot be armed with {tries} tries; give 1 to 15")
    others = [slot for slot in slots_of(table, type_guid) if slot.number != index]
    if best_proven(others) is None:
        raise RefusedError(
            f"partition {index} is not armed: no other slot is known to boot, so a failed update could not be rolled back; "
            "mark the running slot good first (bootselect mark-good)"
        )
    return prioritize(table.with_slot(index, tries=tries, successful=False), type_guid, index)


def require_sound(table: Table, index: int) -> None:
    """Raise RefusedError where writing the slot could destroy something else: another partition, or the table itself.

    Asked before a slot is written and before one is armed: what stands in such a slot may be another partition's.
    """
    # Imported here: the selector arms nothing.
    from gptlib.read.checks import slot_findings

    findings = slot_findings(table, index)
    if findings:
        what = "; ".join(finding.message for finding in findings)
        raise RefusedError(
            f"partition {index} is neither written nor armed: {what}; correct the table first (gptctl verify shows it)"
        )


def mark_good(table: Table, index: int) -> Table:
    """The slot has proved itself: tries=0 successful=1. Its priority stays, so an update armed meanwhile stays armed."""
    return table.with_slot(index, tries=0, successful=True)


def mark_bad(table: Table, index: int) -> Table:
    """The slot is not to be booted any more: tries=0 successful=0, as a slot that used up its tries. Its priority stays."""
    return table.with_slot(index, tries=0, successful=False)


def prioritize(table: Table, type_guid: Guid, index: int) -> Table:
    """Give a slot the highest priority by the renumbering rules of ``cgpt prioritize``.

    Slots of equal priority keep equal ones and the order of the others stays; priorities become as small as possible, from 1
    on, and slots with priority 0 keep it. Where there are more levels than 15, the lowest share priority 1.
    """
    return renumber(table, type_guid, index=index)


def rollback_target(table: Table, type_guid: Guid, active: int) -> int:
    """The slot that a rollback from ``active`` would boot: the first in rank that is known to boot.

    Raises RefusedError, saying why each other slot could not boot.
    """
    others = _others(table, type_guid, active)
    target = best_proven(others)
    if target is None:
        why = "; ".join(f"partition {slot.number} {_why_not(slot)}" for slot in others) or "there is no other slot"
        raise RefusedError(f"cannot roll back from partition {active}: {why}")
    return target.number


def rollback(table: Table, type_guid: Guid, active: int) -> Table:
    """Make the best other slot the next one to boot. Raises RefusedError when none is known to boot."""
    return prioritize(table, type_guid, rollback_target(table, type_guid, active))


def _why_not(slot: Slot) -> str:
    attributes = slot.attributes
    if attributes.tries:
        return f"was never booted successfully ({attributes}); to drop it: bootselect mark-bad --slot {slot.number}"
    return f"is not known to boot ({attributes})"


def _others(table: Table, type_guid: Guid, index: int) -> list[Slot]:
    return [slot for slot in slots_of(table, type_guid) if slot.number != index]
