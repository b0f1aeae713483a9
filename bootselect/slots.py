"""The slots of a table."""

from __future__ import annotations

from bootselect.errors import NoSlotsError, NotASlotError
from bootselect.policy import Slot
from gptlib.table.guid import Guid
from gptlib.table.slot_types import SLOT_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table

DEFAULT_TYPE = "coreos-usr"


def slot_type(text: str) -> Guid:
    """The type GUID of a slot type given by name or GUID. Raises gptlib's InvalidValueError for neither."""
    return Guid.parse(SLOT_TYPES.get(text, text))


def slots_of(table: Table, type_guid: Guid) -> list[Slot]:
    """The slots in the order of their numbers; empty when there are none."""
    return [
        Slot(index, partition.attributes)
        for index, partition in table.partitions.items()
        if partition.type_guid == type_guid
    ]


def require_slots(path: str, table: Table, type_guid: Guid) -> list[Slot]:
    """As ``slots_of``. Raises NoSlotsError when there are none."""
    slots = slots_of(table, type_guid)
    if not slots:
        name = next((name for name, text in SLOT_TYPES.items() if Guid.parse(text) == type_guid), str(type_guid))
        raise NoSlotsError(path, name)
    return slots


def find_slot(path: str, table: Table, slots: list[Slot], wanted: str) -> int:
    """The number of the slot that ``wanted`` names: a partition number, a label or a partition GUID.

    Raises NotASlotError when no slot, or more than one, has that name.
    """
    found = [
        slot.number
        for slot in slots
        if wanted in {str(slot.number), table.partitions[slot.number].label}
        or wanted.lower() == table.partitions[slot.number].unique_guid.text
    ]
    if len(found) != 1:
        known = ", ".join(f"{slot.number} ({table.partitions[slot.number].label})" for slot in slots)
        raise NotASlotError(path, wanted if not found else f"{wanted} (partitions {found})", known)
    return found[0]
