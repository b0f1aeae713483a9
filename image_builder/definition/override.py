"""Another version or further files for the slot of a definition, as command lines ask for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.definition import values
from image_builder.definition.files import slot_files
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.definition.model import Definition


def with_slot(definition: Definition, version: str | None, files: Mapping[str, Path] | None = None) -> Definition:
    """A copy whose slot has this version, and these files by their paths in it. Raises DefinitionError.

    None keeps the definition's version; a file takes the place of the definition's of the same path.
    """
    if version is None and not files:
        return definition
    if definition.slot is None:
        wanted = "lay files over" if version is None else "give a version to"
        raise DefinitionError(definition.path, "slot", f"there is no such section, so there is nothing to {wanted}")
    slot = definition.slot
    if version is not None:
        try:
            slot = replace(slot, version=values.slot_version(version))
        except ValueError as error:
            raise DefinitionError(definition.path, "slot.version", str(error)) from error
    if files:
        own = {file.path: file.source.absolute() for file in slot.files}
        try:
            slot = replace(slot, files=slot_files({**own, **files}, Path()))
        except ValueError as error:
            raise DefinitionError(definition.path, "slot.files", str(error)) from error
    return replace(definition, slot=slot)
