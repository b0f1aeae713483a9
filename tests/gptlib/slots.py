"""Images with slots, made by gptlib, for the tests of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib import Attributes, Disk, Guid, Partition, type_guid
from tests.gptlib.tables import blank, table_of

if TYPE_CHECKING:
    from pathlib import Path

USR = type_guid("coreos-usr")


def slot(first: int, priority: int, tries: int, successful: bool, label: str = "") -> Partition:
    """A slot of ten sectors."""
    bits = Attributes(0).with_slot(priority=priority, tries=tries, successful=successful)
    return Partition(USR, Guid.random(), first, first + 9, bits, label)


def pts(*slots: tuple[int, int, int]) -> dict[int, Partition]:
    """Slots 3, 4, ... with priority/tries/successful."""
    return {3 + place: slot(100 + 20 * place, p, t, bool(s)) for place, (p, t, s) in enumerate(slots)}


def disk_of(path: Path, partitions: dict[int, Partition]) -> Path:
    """An image with these partitions."""
    with Disk.open(blank(path), write=True) as disk:
        disk.create(table_of(partitions))
    return path


def two_slots(directory: Path) -> Path:
    """An image with USR-A 1/0/1 and USR-B 2/3/0."""
    slots = {3: slot(100, 1, 0, True, "USR-A"), 4: slot(200, 2, 3, False, "USR-B")}
    return disk_of(directory / "disk.img", slots)


def attributes(path: Path) -> dict[int, str]:
    """The slot bits of every partition, as text."""
    with Disk.open(path) as disk:
        return {n: f"{p.attributes}" for n, p in disk.table().partitions.items()}
