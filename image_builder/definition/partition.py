"""The ``[[partition]]`` tables of a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.table.attributes import GROW, LEGACY_BOOT, NO_AUTO, READ_ONLY, REQUIRED, Attributes
from image_builder.content.empty import Empty
from image_builder.content.file import FileContent
from image_builder.definition import values
from image_builder.definition.identity import derived_guid
from image_builder.definition.model import PartitionDefinition
from image_builder.definition.size import parse_size, read_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from image_builder.content.content import Content
    from image_builder.definition.section import Section

MAX_NUMBER = 128
_FLAGS = {
    "required": REQUIRED,
    "legacy-boot": LEGACY_BOOT,
    "grow": GROW,
    "read-only": READ_ONLY,
    "no-auto": NO_AUTO,
}


def read_partitions(
    sections: Sequence[Section], contents: Mapping[str, Content], *, sector_size: int, seed: str
) -> tuple[PartitionDefinition, ...]:
    """All partitions without mistakes; those without a number get the one after the partition before them."""
    partitions: list[PartitionDefinition] = []
    following = 1
    for section in sections:
        partition = _read_partition(section, following, contents, sector_size, seed)
        # After one without a number those that follow cannot be told, and must not be those of others.
        following = partition.number + 1 if partition.number else -MAX_NUMBER
        if section.finish():
            partitions.append(partition)
    return tuple(partitions)


def _read_partition(
    section: Section, following: int, contents: Mapping[str, Content], sector_size: int, seed: str
) -> PartitionDefinition:
    def content(value: object) -> Content:
        return _content(value, contents, section)

    unstated: Content = Empty(stated=False)
    label = section.parse("label", values.partition_label)
    return PartitionDefinition(
        section=section.name,
        number=section.parse(
            "number", values.number_between(1, MAX_NUMBER), following if following <= MAX_NUMBER else None
        ),
        label=label,
        type_guid=section.parse("type", values.partition_type),
        size=read_size(section, sector_size),
        start=section.optional("start", lambda value: parse_size(value, sector_size)),
        content=section.parse("content", content, unstated),
        unique_guid=section.parse("uuid", values.guid, derived_guid(seed, f"partition {label}")),
        attributes=_read_attributes(section),
    )


def _read_attributes(section: Section) -> Attributes:
    attributes = Attributes(0).with_slot(
        priority=section.parse("priority", values.number_between(0, 15), 0),
        tries=section.parse("tries", values.number_between(0, 15), 0),
        successful=section.get("successful", bool, default=False),
    )
    for name, bit in _FLAGS.items():
        attributes = attributes.with_bits(bit, on=section.get(name, bool, default=False))
    return attributes


def _content(value: object, contents: Mapping[str, Content], section: Section) -> Content:
    known = ", ".join(contents)
    if not isinstance(value, str) or not value:
        raise ValueError(f"is {values.show(value)}; expected one of {known} or the path of a file")
    if value in contents:
        return contents[value]
    kind, _, name = value.partition(".")
    if name and section.mistakes.at(kind):
        return Empty(stated=True)  # the tables [slot.NAME] could not be read, which is told already
    path = section.folder / value
    if not path.is_file():
        raise ValueError(f"is {value!r}; expected one of {known} or the path of a file, and {path} is not one")
    return FileContent(path)
