"""The table of odd disks in docs/gpt.md is what happens: each of its rows is made, and each program run on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.gptlib.fuzz.operations import run as in_process
from tests.gptlib.odd import DISKS
from tests.gptlib.oracle import copies, layout_of
from tests.gptlib.readers import run

GUIDE = (Path(__file__).parents[2] / "docs" / "gpt.md").read_text()
HEADINGS = ["the disk", "`bootselect next`", "`gptctl repair`", "sgdisk", "sfdisk", "cgpt"]
COMMANDS: dict[str, tuple[str, ...]] = {
    "`bootselect next`": ("bootselect", "next", "DISK"),
    "`gptctl repair`": ("gptctl", "repair", "DISK"),
    "sgdisk": ("sgdisk", "-A", "1:set:60", "DISK"),
    "sfdisk": ("sfdisk", "-q", "--no-tell-kernel", "--no-reread", "--part-attrs", "DISK", "1", "GUID:48,56,60"),
    "cgpt": ("cgpt", "add", "-i", "1", "-T", "9", "DISK"),
}


class Row(NamedTuple):
    disk: str
    cells: dict[str, str]


def rows() -> list[Row]:
    """The rows of the table in the guide."""
    table = re.search(r"^\| the disk \|.*\n\|[- |]+\|\n((?:\|.*\n)+)", GUIDE, re.MULTILINE)
    assert table is not None
    found = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[1].splitlines()]
    return [Row(cells[0], dict(zip(HEADINGS[1:], cells[1:], strict=True))) for cells in found]


def test_the_table_has_every_disk() -> None:
    assert [row.disk for row in rows()] == list(DISKS)


@pytest.mark.slow
@pytest.mark.parametrize("program", COMMANDS)
@pytest.mark.parametrize("row", rows(), ids=lambda row: row.disk)
def test_each_program_does_what_the_guide_says(ram: Path, row: Row, program: str) -> None:
    assert happens(ram / "disk.img", row.disk, program) == row.cells[program]


def happens(path: Path, disk: str, program: str) -> str:
    """What a program does with a disk, in the words of the guide."""
    regions = DISKS[disk](path)
    before = path.read_bytes()
    words = [str(path) if word == "DISK" else word for word in COMMANDS[program]]
    if program.startswith("`"):
        code, _, err = in_process(words)
    else:
        done = run(*words)
        code, err = done.returncode, done.stderr
    after = path.read_bytes()
    if after == before:
        return _nothing(code, err)
    over = [name for name, sectors in regions.items() if _part(before, sectors) != _part(after, sectors)]
    written = f"{_written(before, after)}, and over {' and '.join(over)}" if over else _written(before, after)
    return f"**{written}**" if over or "no table" in written else written


def _part(image: bytes, sectors: range) -> bytes:
    return image[sectors.start * 512 : sectors.stop * 512]


def _nothing(code: int, err: str) -> str:
    if code == 0 and "nothing was written" in err:
        return "boots a proven slot"
    return "refuses" if code else "nothing"


def _written(before: bytes, after: bytes) -> str:
    """Which copies are complete now, where the backup is, and whether anything but the table says so."""
    if layout_of(after, 512) is None:
        return "no table is left"
    old = layout_of(before, 512)
    primary, backup = copies(after, 512)
    complete = [copy for copy in (primary, backup) if copy.array is not None]
    if len(complete) == 1:
        return "the primary alone" if complete[0] is primary else "the backup alone"
    where = "both copies"
    if old is None or old.backup_lba != backup.lba:
        where += ", the backup at the end"
    usual = old.primary.header.entries if old and old.primary.header else 2
    if primary.header and primary.header.entries != usual:
        where += f", the primary array at sector {primary.header.entries}"
    return where
