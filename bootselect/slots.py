"""The slots of a table."""

from __future__ import annotations

from bootselect.errors import NoSlotsError, NotASlotError
from bootselect.policy import Slot
from gptlib.table.guid import Guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table

SLOT_TYPES = {
    "coreos-usr": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "flatcar-usr": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "coreos-rootfs": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "flatcar-rootfs": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "chromeos-kernel": "fe3a2a5d-4f32-41a7-b725-accc3285a309",
    "bottlerocket-boot": "6b636168-7420-6568-2070-6c616e657421",
    "usr-x86-64": "8484680c-9521-48c6-9c11-b0720656f69e",
    "root-x86-64": "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
    "usr-arm64": "b0e01050-ee5f-4390-949a-9101b17104e9",
    "root-arm64": "b921b045-1df0-41c3-af44-4c6f280d3fae",
}
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
