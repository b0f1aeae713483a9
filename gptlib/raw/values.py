"""The values that a look at the bytes gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gptlib.layout.generate import field_slices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from construct import Struct

REST = "rest"
"""The name of what follows the fields of a header in its sector, or those of a large entry."""


class Meaning(NamedTuple):
    """What a field says: its value, and that in words. ``is_text``: the value is what somebody wrote, for people."""

    value: int | str
    words: str = ""
    valid: bool = True
    is_text: bool = False


class Field(NamedTuple):
    """A field: its UEFI name, the byte of the disk where it starts, its bytes and what they mean."""

    name: str
    offset: int
    data: bytes
    meaning: Meaning


class Part(NamedTuple):
    """A structure, or a place where one is looked for. ``offset`` and ``size`` are in bytes, ``sector`` is an LBA."""

    name: str
    sector: int
    offset: int
    size: int
    summary: str
    fields: tuple[Field, ...] = ()
    problems: tuple[str, ...] = ()


class Geometry(NamedTuple):
    """The sectors of the disk that the parts are of."""

    sector_size: int
    sectors: int

    def at(self, lba: int) -> str:
        """Where a sector starts, in words."""
        return f"byte {lba * self.sector_size}" if lba < self.sectors else f"outside the disk of {self.sectors} sectors"


def fields_of(declaration: Struct, data: bytes, offset: int, meanings: Mapping[str, Meaning]) -> tuple[Field, ...]:
    """The fields of a structure that starts at byte ``offset``, and as ``rest`` what follows them, if that is not zero."""
    fields = [
        Field(name, offset + place.start, data[place], meanings[name])
        for name, place in field_slices(declaration).items()
    ]
    size = declaration.sizeof()
    rest = data[size:]
    if any(rest):
        fields.append(Field(REST, offset + size, rest, Meaning(f"{len(rest)} bytes", "reserved, and not zero")))
    return tuple(fields)
