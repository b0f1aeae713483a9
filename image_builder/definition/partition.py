"""The ``[[partition]]`` tables of a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.table.attributes import GROW, LEGACY_BOOT, NO_AUTO, READ_ONLY, REQUIRED, Attributes
from image_builder.definition import values
from image_builder.definition.identity import derived_guid
from image_builder.definition.model import CONTENTS, EMPTY, PartitionDefinition
from image_builder.definition.size import parse_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from image_builder.definition.section import Section

MAX_NUMBER = 128
_FLAGS = {
    "required": REQUIRED,
    "legacy-boot": LEGACY_BOOT,
    "grow": GROW,
    "read-only": READ_ONLY,
    "no-auto": NO_AUTO,
}


def read_partitions(sections: Sequence[Section], sector_size: int, seed: str) -> tuple[PartitionDefinition, ...]:
    """All partitions; those without a number get the one after the partition before them. Raises DefinitionError."""
    partitions: list[PartitionDefinition] = []
    for section in sections:
        following = partitions[-1].number + 1 if partitions else 1
        partitions.append(_read_partition(section, following, sector_size, seed))
    return tuple(partitions)


def _read_partition(section: Section, following: int, sector_size: int, seed: str) -> PartitionDefinition:
    def size(value: object) -> int:
        return parse_size(value, sector_size)

    def content(value: object) -> str | Path:
        return _content(value, section.path.parent)

    label = section.parse("label", values.partition_label)
    partition = PartitionDefinition(
        number=section.parse(
            "number", values.number_between(1, MAX_NUMBER), following if following <= MAX_NUMBER else None
        ),
        label=label,
        type_guid=section.parse("type", values.partition_type),
        size=section.parse("size", size),
        start=section.parse("start", size) if section.has("start") else None,
        content=section.parse("content", content) if section.has("content") else EMPTY,
        unique_guid=section.parse("uuid", values.guid, derived_guid(seed, f"partition {label}")),
        attributes=_read_attributes(section),
    )
    section.finish()
    return partition


def _read_attributes(section: Section) -> Attributes:
    attributes = Attributes(0).with_slot(
        priority=section.parse("priority", values.number_between(0, 15), 0),
        tries=section.parse("tries", values.number_between(0, 15), 0),
        successful=section.get("successful", bool, default=False),
    )
    for name, bit in _FLAGS.items():
        attributes = attributes.with_bits(bit, on=section.get(name, bool, default=False))
    return attributes


def _content(value: object, folder: Path) -> str | Path:
    if not isinstance(value, str) or not value:
        raise ValueError(f"is {values.show(value)}; expected one of {', '.join(CONTENTS)} or the path of a file")
    if value in CONTENTS:
        return value
    path = folder / value
    if not path.is_file():
        raise ValueError(
            f"is {value!r}; expected one of {', '.join(CONTENTS)} or the path of a file, and {path} is not one"
        )
    return path
