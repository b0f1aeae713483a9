"""All kinds of content, and the sections of a definition that say what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.content.empty import Empty
from image_builder.content.esp import Esp
from image_builder.content.slot import Slot
from image_builder.content.state import State
from image_builder.definition import values

if TYPE_CHECKING:
    from image_builder.content.content import Content
    from image_builder.definition.section import Section

EMPTY = "empty"


def read_contents(top: Section) -> dict[str, Content]:
    """What partitions can refer to, by name. One with a mistake is there all the same: referring to it is none."""
    found: dict[str, Content] = {}
    esp = top.table("esp")
    found["esp"] = Esp.read(esp)
    esp.finish()
    for name, section in top.named_tables("slot").items():
        found[f"slot.{name}"] = Slot.read(section, name)
        _check_name(section, name)
        section.finish()
    found["state"] = State()
    for name, section in top.named_tables("state").items():
        state = State.read(section, name)
        found[state.name] = state
        _check_name(section, name)
        section.finish()
    found[EMPTY] = Empty()
    return found


def _check_name(section: Section, name: str) -> None:
    try:
        values.section_name(name)
    except ValueError as error:
        section.mistakes.add(section.name, f"the name of the section {error}")
