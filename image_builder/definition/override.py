"""What a command line changes in a definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.definition import values
from image_builder.definition.files import files_to_lay
from image_builder.errors import DefinitionError, Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.content.slot import Slot
    from image_builder.definition.model import Definition


def the_slot(definition: Definition, name: str | None) -> Slot:
    """The slot of a name, or the only one of the definition where none is given. Raises DefinitionError."""
    names = [slot.section for slot in definition.slots]
    if not names:
        raise DefinitionError(definition.mistake("slot", "there is no slot; expected a section [slot.NAME]"))
    if name is None and len(names) > 1:
        problem = f"there are {len(names)}; give one of them with --slot: {', '.join(names)}"
        raise DefinitionError(definition.mistake("slot", problem))
    wanted = names[0] if name is None else name
    if wanted not in names:
        problem = f"there is no such section; expected one of {', '.join(names)}"
        raise DefinitionError(definition.mistake(f"slot.{wanted}", problem))
    return definition.slots[names.index(wanted)]


def with_slot(
    definition: Definition, version: str | None, files: Mapping[str, Path] | None = None, *, slot: str | None = None
) -> Definition:
    """A copy whose slot has this version, and these files by their paths in it. Raises DefinitionError.

    None keeps the definition's version; a file takes the place of the definition's of the same path. ``slot`` is its name,
    None for the only one.
    """
    if version is None and not files:
        return definition
    old = new = the_slot(definition, slot)
    if version is not None:
        try:
            new = replace(new, version=values.slot_version(version))
        except ValueError as error:
            raise DefinitionError(Mistake(definition.path, f"{old.name}.version", str(error))) from error
    if files:
        own = {file.path: file.source.absolute() for file in new.files}
        try:
            new = replace(new, files=files_to_lay({**own, **files}, Path()))
        except ValueError as error:
            raise DefinitionError(Mistake(definition.path, f"{old.name}.files", str(error))) from error
    return with_content(definition, old, new)


def with_content(definition: Definition, old: Slot, new: Slot) -> Definition:
    """A copy with another slot in all places of one."""
    return replace(
        definition,
        slots=tuple(new if slot is old else slot for slot in definition.slots),
        partitions=tuple(
            replace(partition, content=new) if partition.content is old else partition
            for partition in definition.partitions
        ),
    )
