"""Another version or behaviour for the slot of a definition, as command lines ask for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from image_builder.definition import values
from image_builder.definition.model import BEHAVIOURS
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from image_builder.definition.model import Definition


def with_slot(definition: Definition, version: str | None, behaviour: str | None) -> Definition:
    """A copy whose slot has this version and behaviour; None keeps what the definition says. Raises DefinitionError."""
    if version is None and behaviour is None:
        return definition
    if definition.slot is None:
        raise DefinitionError(
            definition.path, "slot", "there is no such section, so there is nothing to give a version to"
        )
    slot = definition.slot
    if version is not None:
        try:
            slot = replace(slot, version=values.slot_version(version))
        except ValueError as error:
            raise DefinitionError(definition.path, "slot.version", str(error)) from error
    if behaviour is not None:
        if behaviour not in BEHAVIOURS:
            detail = f"is {behaviour!r}; expected one of {', '.join(BEHAVIOURS)}"
            raise DefinitionError(definition.path, "slot.behaviour", detail)
        slot = replace(slot, behaviour=behaviour)
    return replace(definition, slot=slot)
