"""A partition entry field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gptlib.layout.entry import ENTRY
from gptlib.raw.values import Field, Meaning, fields_of
from gptlib.raw.words import guid_meaning, lba_meaning, size_words
from gptlib.table.attributes import (
    EFI_IGNORE,
    GROW,
    HAS_BOOTED_ONCE,
    LEGACY_BOOT,
    NO_AUTO,
    READ_ONLY,
    REQUIRED,
    SLOT_BITS,
    Attributes,
)
from gptlib.table.guid import Guid
from gptlib.table.types import is_slot_type, type_description, type_name

if TYPE_CHECKING:
    from construct import Container

    from gptlib.raw.values import Geometry

_BITS = {
    REQUIRED: "required by the platform",
    EFI_IGNORE: "not for the firmware (no block IO)",
    LEGACY_BOOT: "legacy BIOS bootable",
    HAS_BOOTED_ONCE: "has booted once (Bottlerocket)",
    GROW: "file system grows",
    READ_ONLY: "read-only",
    NO_AUTO: "not mounted automatically",
}


def entry_fields(data: bytes, offset: int, disk: Geometry, usable: tuple[int, int]) -> tuple[Field, ...]:
    """The fields of a used entry that starts at byte ``offset``; ``usable`` are the first and last sector for partitions."""
    entry = ENTRY.parse(data)
    kind = Guid(entry.partition_type_guid)
    meanings = {
        "partition_type_guid": guid_meaning(kind, _type_words(kind)),
        "unique_partition_guid": guid_meaning(entry.unique_partition_guid),
        "starting_lba": lba_meaning(entry.starting_lba, disk, _range_problem(entry.starting_lba, usable)),
        "ending_lba": _end_meaning(entry, disk, usable),
        "attributes": Meaning(f"{entry.attributes:#018x}", attribute_words(entry.attributes, kind)),
        "partition_name": _name_meaning(entry.partition_name),
    }
    return fields_of(ENTRY, data, offset, meanings)


def _type_words(kind: Guid) -> str:
    name, words = type_name(kind), type_description(kind)
    if name == str(kind):
        return "a type that has no name here"
    return name if words == str(kind) else f"{name}: {words}"


def _range_problem(lba: int, usable: tuple[int, int]) -> str:
    first, last = usable
    return "" if first <= lba <= last else f"wrong: usable are sectors {first} to {last}"


def _end_meaning(entry: Container[Any], disk: Geometry, usable: tuple[int, int]) -> Meaning:
    last, sectors = entry.ending_lba, entry.ending_lba - entry.starting_lba + 1
    if sectors < 1:
        return lba_meaning(last, disk, "wrong: it ends before it starts")
    size = f"{sectors} sectors, {size_words(sectors * disk.sector_size)}"
    made = lba_meaning(last, disk, _range_problem(last, usable))
    return made._replace(words=f"{made.words}; {size}")


def attribute_words(value: int, kind: Guid) -> str:
    """The attribute bits in words: the slot bits where there are any or the type is one of slots, and every other bit that is set."""
    bits = Attributes(value)
    words = [str(bits)] if is_slot_type(kind) or bits & SLOT_BITS else []
    words += [text for mask, text in _BITS.items() if bits & mask]
    known = SLOT_BITS | sum(_BITS)
    words += [f"bit {number}" for number in range(64) if bits & ~known & 1 << number]
    return ", ".join(words) or "none"


def _name_meaning(data: bytes) -> Meaning:
    name = data.decode("utf-16-le", "surrogatepass").rstrip("\0")
    label, nul, more = name.partition("\0")
    units = len(label.encode("utf-16-le", "surrogatepass")) // 2
    words = f"{units} of {len(data) // 2} UTF-16 units"
    return Meaning(label, f"{words}; more stands behind the NUL: {more!a}" if nul else words, is_text=True)
