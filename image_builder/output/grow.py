"""Disks of a size that a format asks for: the backup of the partition table stays at the end of what the machine sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib.disk import Disk
from image_builder.disk.sparse import copy_into
from image_builder.output.errors import OutputFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib.table.table import Table

SECTOR = 512
"""Bytes of a sector on the virtual disks of VMware, Azure and Google."""


def check_sectors(raw: Path, name: str) -> None:
    """Raise OutputFormatError where the partition table of ``raw`` is for sectors that a disk of format ``name`` has not."""
    with Disk.open(raw) as disk:
        table = disk.examine().table
    if table is not None and table.sector_size != SECTOR:
        raise OutputFormatError(
            raw,
            name,
            f"its partition table is for sectors of {table.sector_size} bytes, and such disks have {SECTOR}; build it with "
            f"image.sector-size = {SECTOR}",
        )


def grown_copy(raw: Path, target: Path, multiple: int, name: str) -> None:
    """Copy ``raw`` to ``target``, made larger to a multiple of ``multiple`` bytes where it is none; holes stay holes.

    The partition table then knows of all sectors and its backup is at the new end: nothing is left of the old one. Raises
    OutputFormatError where the table is damaged or is none, and OSError.
    """
    size = raw.stat().st_size
    wanted = max(1, -(-size // multiple)) * multiple
    grown = None if wanted == size else _grown_table(raw, wanted, name)
    with target.open("wb") as file:
        file.truncate(size)
    copy_into(raw, target, 0)
    if grown is None:
        return
    old, new = grown
    with target.open("r+b") as file:
        file.truncate(wanted)
    with Disk.open(target, write=True) as disk:
        disk.write(new)
    # The two may overlap where the disk grew by a few sectors.
    first, end = old.backup_entries_lba, min(old.backup_lba + 1, new.backup_entries_lba)
    with target.open("r+b") as file:
        file.seek(first * SECTOR)
        file.write(bytes((end - first) * SECTOR))


def _grown_table(raw: Path, size: int, name: str) -> tuple[Table, Table]:
    """The table of ``raw``, and the same one for a disk of ``size`` bytes."""
    with Disk.open(raw) as disk:
        found = disk.examine()
    problems = [str(finding) for finding in found.findings]
    table = found.table
    if table is None or problems:
        detail = problems[0] if problems else "it has none"
        raise OutputFormatError(
            raw, name, f"it has to grow to {size} bytes, and with it a sound GPT, but {detail}; see 'gptctl repair'"
        )
    if table.backup_lba != table.total_sectors - 1 or table.backup_entries_lba <= table.last_usable_lba:
        raise OutputFormatError(raw, name, "the backup of its partition table is not at its end; see 'gptctl repair'")
    return table, table.relocate(size // table.sector_size)
