"""What the parts of a definition must be to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bootselect.slots import slot_type
from gptlib.table.types import type_guid
from image_builder.definition.model import EMPTY, ESP, SLOT, STATE
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_builder.definition.model import Definition, PartitionDefinition


def check_definition(definition: Definition) -> None:
    """Raise DefinitionError for the first contradiction."""
    if not definition.partitions:
        raise DefinitionError(definition.path, "partition", "there is none; expected at least one [[partition]]")
    _check_unique(definition)
    _check_contents(definition)
    _check_slots(definition)


def _fail(definition: Definition, partition: PartitionDefinition, key: str, detail: str) -> DefinitionError:
    place = definition.partitions.index(partition) + 1
    return DefinitionError(definition.path, f"partition[{place}].{key}", detail)


def _check_unique(definition: Definition) -> None:
    keys: dict[str, Callable[[PartitionDefinition], object]] = {
        "number": lambda partition: partition.number,
        "label": lambda partition: partition.label,
        "uuid": lambda partition: partition.unique_guid,
    }
    for key, of in keys.items():
        seen: dict[object, PartitionDefinition] = {}
        for partition in definition.partitions:
            other = seen.setdefault(of(partition), partition)
            if other is not partition:
                taken = f"is {of(partition)}, which partition {other.label!r} has already; expected another one"
                raise _fail(definition, partition, key, taken)


def _check_contents(definition: Definition) -> None:
    for content in (ESP, STATE):
        for partition in definition.holding(content)[1:]:
            first = definition.holding(content)[0].label
            raise _fail(definition, partition, "content", f"is {content!r}, as that of {first!r}; expected at most one")
    for partition in definition.holding(ESP):
        if definition.boot is None:
            raise _fail(
                definition, partition, "content", "is 'esp'; expected a section [boot] that says what to put there"
            )
        if partition.type_guid != type_guid("esp"):
            raise _fail(definition, partition, "type", "is not esp; expected that where the content is 'esp'")
    if definition.boot is not None and not definition.holding(ESP):
        raise DefinitionError(definition.path, "boot", "has nowhere to go; expected a partition with content = 'esp'")
    if definition.boot is not None and definition.slot is None:
        raise DefinitionError(definition.path, "boot", "has nothing to boot; expected a section [slot]")


def _check_slots(definition: Definition) -> None:
    for partition in definition.holding(SLOT):
        if definition.slot is None:
            raise _fail(definition, partition, "content", "is 'slot'; expected a section [slot] that says what that is")
    if definition.slot is None:
        return
    wanted = slot_type(definition.slot.type)
    slots = [partition for partition in definition.partitions if partition.type_guid == wanted]
    if not slots:
        raise DefinitionError(
            definition.path, "slot.type", f"is {definition.slot.type}; expected the type of at least one partition"
        )
    for partition in definition.holding(SLOT):
        if partition not in slots:
            raise _fail(
                definition, partition, "type", f"is not that of slots; expected {definition.slot.type} (slot.type)"
            )
    for partition in slots:
        bits = partition.attributes
        if partition.content == EMPTY and (bits.priority or bits.tries or bits.successful):
            raise _fail(
                definition, partition, "content", f"is empty, but {bits} would have it booted; expected 0, 0, false"
            )
