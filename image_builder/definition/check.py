"""What the parts of a definition must be to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.table.types import type_guid
from image_builder.content.empty import Empty
from image_builder.content.esp import Esp
from image_builder.content.slot import Slot
from image_builder.content.state import State
from image_builder.definition.model import DISTRIBUTION, AutoSize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from image_builder.content.content import Content
    from image_builder.definition.model import Definition, PartitionDefinition
    from image_builder.definition.section import Mistakes


_MOUNTING = {"tiny", "debian"}
"""Kinds of slots that mount the state where its section says; those of others have an fstab of their own."""


def check_definition(definition: Definition, sections: Iterable[Content], mistakes: Mistakes) -> None:
    """Add all contradictions to ``mistakes``. ``sections`` are the contents that have one.

    Parts that have mistakes of their own are not there, and nobody misses them.
    """
    whole = not any(mistakes.below(name) for name in ("boot", "slot", "partition", "image"))
    checks = [*_unique(definition), *(() if mistakes.below("slot") else _sizes(definition))]
    if whole:
        checks += [*_boot(definition), *_slots(definition), *_states(definition), *_unused(definition, sections)]
    for content in dict.fromkeys((*definition.slots, *(partition.content for partition in definition.partitions))):
        if not mistakes.below("boot") and not (isinstance(content, Slot) and mistakes.below(content.name)):
            checks += content.mistakes(definition)
    for key, detail in checks:
        mistakes.add(key, detail)


def _unique(definition: Definition) -> Iterator[tuple[str, str]]:
    keys: dict[str, Callable[[PartitionDefinition], object]] = {
        "number": lambda partition: partition.number,
        "label": lambda partition: partition.label,
        "uuid": lambda partition: partition.unique_guid,
    }
    for key, of in keys.items():
        seen: dict[object, PartitionDefinition] = {}
        for partition in definition.partitions:
            other = seen.setdefault(of(partition), partition)
            # The derived UUID of two partitions with one label is the same for that reason only.
            if other is not partition and not (key == "uuid" and other.label == partition.label):
                taken = f"is {of(partition)}, which partition {other.label!r} has already; expected another one"
                yield f"{partition.section}.{key}", taken


def _sizes(definition: Definition) -> Iterator[tuple[str, str]]:
    for partition in definition.partitions:
        empty = isinstance(partition.content, Empty)
        if isinstance(partition.size, AutoSize) and empty and partition not in definition.slot_partitions():
            yield f"{partition.section}.size", 'is "auto", and the partition is empty; expected a size'


def _boot(definition: Definition) -> Iterator[tuple[str, str]]:
    boot, esps = definition.boot, definition.holding(Esp)
    for partition, esp in esps[1:]:
        first = esps[0][0].label
        yield f"{partition.section}.content", f"is {esp.name!r}, as that of {first!r}; expected at most one"
    if boot is None:
        return
    if not esps:
        yield "boot", "has nowhere to go; expected a partition with content = 'esp'"
    if not definition.slots:
        yield "boot", "has nothing to boot; expected a section [slot.NAME]"
    if isinstance(boot.kernel, str) and boot.kernel != DISTRIBUTION:
        slot = next(slot for slot in definition.slots if slot.name == boot.kernel)
        if slot.system.kind in {"image", "tiny"}:
            detail = (
                f"is {boot.kernel!r}, and {boot.kernel}.kind is {slot.system.kind!r}, which has no kernel to take; expected the "
                f"name of a tree, tar or debian, {DISTRIBUTION!r}, or a file"
            )
            yield "boot.kernel", detail
    for partition in definition.partitions:
        content = partition.content
        if partition.type_guid == type_guid("bios") and isinstance(content, Empty) and not content.stated:
            detail = (
                f"is bios, and boot.kind = {boot.kind!r} puts no loader there; expected content = 'empty' where nothing is to "
                "start from it, or the path of a loader"
            )
            yield f"{partition.section}.type", detail


def _slots(definition: Definition) -> Iterator[tuple[str, str]]:
    for slot in definition.slots:
        if slot.type_guid != definition.slot_type:
            first = definition.slots[0]
            yield (
                f"{slot.name}.type",
                f"is {slot.type}, and {first.name}.type is {first.type}; the selector looks for one type: expected the same",
            )
    slots = definition.slot_partitions()
    if definition.slots and not slots:
        yield (
            f"{definition.slots[0].name}.type",
            f"is {definition.slots[0].type}; expected the type of at least one partition",
        )
        return
    for partition, slot in definition.holding(Slot):
        if partition.type_guid != slot.type_guid:
            yield (
                f"{partition.section}.type",
                f"is not that of slots; expected {slot.type} ({slot.name}.type)",
            )
    for partition in slots:
        bits = partition.attributes
        if isinstance(partition.content, Empty) and (bits.priority or bits.tries or bits.successful):
            yield (
                f"{partition.section}.content",
                f"is empty, but {bits} would have it booted; expected 0, 0, false",
            )


def _states(definition: Definition) -> Iterator[tuple[str, str]]:
    if not any(slot.system.kind in _MOUNTING for slot in definition.slots):
        return
    seen: dict[str, PartitionDefinition] = {}
    for partition, state in definition.holding(State):
        other = seen.setdefault(state.mount, partition)
        if other is not partition:
            detail = (
                f"is {state.name!r}, mounted at {state.mount}, where partition {other.label!r} is mounted; expected a section "
                "[state.NAME] with another mount"
            )
            yield f"{partition.section}.content", detail


def _unused(definition: Definition, sections: Iterable[Content]) -> Iterator[tuple[str, str]]:
    used = {partition.content for partition in definition.partitions}
    for content in sections:
        if not isinstance(content, Slot) and content not in used:
            yield content.name, f"is in no partition; expected one with content = {content.name!r}"
