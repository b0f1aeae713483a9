"""What GRUB with gptprio refuses and the selector boots: the table in docs/bootloaders.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect.cli.main import main as bootselect
from gptlib.cli.main import main as gptctl
from tests.gptlib.crash.grub import grub_next, read_grub
from tests.gptlib.handmade import Entry, Gpt, zeroed

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCS = (Path(__file__).parents[3] / "docs/bootloaders.md").read_text()
A = Entry(200, 299, "USR-A", 0x101 << 48)  # 1/0/1
B = Entry(300, 399, "USR-B", 0x032 << 48)  # 2/3/0
GPT = Gpt(entries={3: A, 4: B}, mbr_records=bytes.fromhex("00000200eeffffff01000000ff070000").ljust(64, b"\0"))
H1, E1, E2, H2 = 1, 2, 2048 - 33, 2047
UNFIT = replace(GPT, entries={3: replace(A, attributes=0x100 << 48), 4: replace(B, attributes=0x002 << 48)})
# The first words of the row -> the disk, the slot that the selector boots, and what makes GRUB boot it.
ROWS: dict[str, tuple[bytearray, int, Sequence[str]]] = {
    "header of one copy and the entries of the other": (zeroed(zeroed(GPT.image(), E1), H2), 4, ["repair"]),
    "the other way round": (zeroed(zeroed(GPT.image(), H1), E2), 4, ["repair"]),
    "header of more than 92 bytes": (replace(GPT, header_size=512).image(), 4, []),
    "only slot that is known to boot has priority 0": (UNFIT.image(), 3, ["add", "-i", "3", "-P", "1"]),
    "fewer than 128 entries": (replace(GPT, count=64).image(), 4, []),
    "later revision": (replace(GPT, revision=0x10001).image(), 4, []),
}


@pytest.mark.parametrize("row", ROWS)
def test_grub_refuses_what_the_selector_boots(ram: Path, row: str) -> None:
    image, number, remedy = ROWS[row]
    assert row in DOCS
    path = ram / "disk.img"
    path.write_bytes(image)
    assert grub_next(path) == 0
    result = CliRunner().invoke(bootselect, ["next", "--dry-run", str(path)])
    assert result.exit_code == 0, result.output
    entry = (UNFIT if "priority 0" in row else GPT).entries[number]
    assert result.output.strip() == str(entry.guid)
    if remedy:
        assert gptctl([*remedy, str(path)]) == 0
        assert grub_next(path) == number
        assert read_grub(path) is not None


def test_grub_reads_what_image_builder_and_gptctl_make(ram: Path) -> None:
    """So that the refusals above are not those of a model that refuses everything."""
    path = ram / "disk.img"
    path.write_bytes(GPT.image())
    assert grub_next(path) == 4
    path.write_bytes(zeroed(GPT.image(), H1))
    assert grub_next(path) == 4


def test_a_dump_makes_a_header_of_92_bytes_of_a_larger_one(ram: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, dump = ram / "disk.img", ram / "disk.dump"
    path.write_bytes(replace(GPT, header_size=512).image())
    assert gptctl(["dump", str(path)]) == 0
    text = capsys.readouterr().out
    assert " size=512\n" in text
    dump.write_text(text.replace(" size=512\n", " size=92\n"))
    assert gptctl(["restore", str(dump), str(path)]) == 0
    assert grub_next(path) == 4
