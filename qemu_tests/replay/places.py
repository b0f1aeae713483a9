"""The slots of a disk, and what each of them may hold in a whole state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.slots import slots_of
from gptlib import Disk
from qemu_tests.harness.disk.overlay import RawImage, Section
from qemu_tests.replay.contents import Version
from qemu_tests.replay.verdicts import SLOTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A slot: its partition number, its place in bytes, and what it may hold."""

    number: int
    offset: int
    length: int
    versions: Sequence[Version]


def places_of(image: Path, updates: Sequence[Path] = ()) -> list[Place]:
    """The slots of a raw image with sectors of 512 bytes: each may hold what the image has there, or one of the ``updates``.

    Raises gptlib's GptError, OSError.
    """
    with Disk.open(image) as disk:
        state = disk.read()
    base = RawImage(image)
    found = [Version(path.name, RawImage(path), path.stat().st_size) for path in updates]
    places = []
    for slot in slots_of(state.table, SLOTS):
        partition = state.table.partition(slot.number)
        offset, length = partition.first_lba * state.sector_size, partition.sectors * state.sector_size
        built = Version("as built", Section(base, offset), length)
        places.append(Place(slot.number, offset, length, [built, *found]))
    return places
