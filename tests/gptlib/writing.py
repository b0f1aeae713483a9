"""A disk to be written, and the simplest ways to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib import Disk
from tests.gptlib.handmade import Gpt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gptlib.write.plan import Epoch


GPT = Gpt()
END = 2047
"""The last sector."""


def change(path: Path, number: int = 3, tries: int = 5) -> Sequence[Epoch]:
    """Change one attribute."""
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        bits = table.partition(number).attributes
        return disk.write(table.with_attributes(number, bits.with_slot(tries=tries)))


def sectors(epochs: Sequence[Epoch], size: int = 512) -> list[list[tuple[int, int]]]:
    """Which sectors were written: (first, number) of each run, epoch by epoch."""
    return [[(write.lba, len(write.data) // size) for write in epoch] for epoch in epochs]


def repair(path: Path) -> Sequence[Epoch]:
    """Repair and nothing else."""
    with Disk.open(path, write=True) as disk:
        return disk.repair()


def protective(sectors: int) -> bytes:
    """The records that sfdisk writes (UEFI 2.10 table 5.4, ending CHS of small disks aside)."""
    track, sector = divmod(sectors - 1, 63)
    end = bytes((track % 255, sector + 1, track // 255))
    return (b"\0\0\2\0\xee" + end + b"\1\0\0\0" + (sectors - 1).to_bytes(4, "little")).ljust(64, b"\0")
