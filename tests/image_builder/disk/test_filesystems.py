"""The file systems of the EFI system partition and of the state partition, judged by the tools of their makers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from image_builder.definition.load import parse_definition
from image_builder.disk.esp import make_esp
from image_builder.disk.state import make_state
from image_builder.errors import TooLargeError
from tests.support import run_tool

if TYPE_CHECKING:
    from image_builder.definition.model import Definition
    from image_builder.run import SystemRunner

MIB = 1 << 20


def definition(size: str, sector: int = 512) -> Definition:
    partition: dict[str, Any] = {"label": "EFI-SYSTEM", "type": "esp", "size": size}
    return parse_definition(Path("d.toml"), {"image": {"name": "d", "sector-size": sector}, "partition": [partition]})


def esp(runner: SystemRunner, folder: Path, size: str, sector: int = 512, content: bytes = b"MZ") -> Path:
    folder.mkdir(exist_ok=True)
    uki = folder / "uki.efi"
    uki.write_bytes(content)
    wanted = definition(size, sector)
    make_esp(runner, folder / "esp", uki, wanted, wanted.partitions[0])
    return folder / "esp"


@pytest.mark.parametrize(
    ("size", "sector", "fat"),
    [("64M", 512, "FAT32"), ("1G", 4096, "FAT32"), ("64M", 4096, "FAT16"), ("32M", 512, "FAT16"), ("4M", 512, "FAT12")],
)
def test_the_firmware_finds_its_program(runner: SystemRunner, tmp_path: Path, size: str, sector: int, fat: str) -> None:
    content = b"MZ" + bytes(range(256)) * 4096
    file = esp(runner, tmp_path, size, sector, content)
    assert file.stat().st_size == definition(size).partitions[0].size
    run_tool("mcopy", "-i", file, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "read-back")
    assert (tmp_path / "read-back").read_bytes() == content
    found = run_tool("blkid", "-p", "-o", "export", file)
    assert f"VERSION={fat}\n" in found
    assert f"BLOCK_SIZE={sector}\n" in found
    run_tool("fsck.fat", "-n", file)


def test_an_esp_is_filled_to_the_limit_that_is_told_and_not_beyond(runner: SystemRunner, tmp_path: Path) -> None:
    for size, sector in ((4, 512), (8, 4096), (36, 512)):
        content = bytes(size * MIB - size * MIB // 60 - (256 << 10))
        file = esp(runner, tmp_path / f"{size}", f"{size}M", sector, content)
        run_tool("fsck.fat", "-n", file)
    with pytest.raises(
        TooLargeError, match=r"uki\.efi: \d+ bytes do not fit into partition EFI-SYSTEM of 4194304 bytes"
    ):
        esp(runner, tmp_path / "large", "4M", content=bytes(4 * MIB - 1))


@pytest.mark.parametrize("sector", [512, 4096])
def test_an_esp_is_the_same_whenever_it_is_built(runner: SystemRunner, tmp_path: Path, sector: int) -> None:
    first = esp(runner, tmp_path / "first", "64M", sector)
    (tmp_path / "second").mkdir(mode=0o700)
    assert first.read_bytes() == esp(runner, tmp_path / "second", "64M", sector).read_bytes()
    # What is in it has the date that everything in an image has.
    assert len(re.findall(r"2024-01-01 +0:00", run_tool("mdir", "-i", first, "-/", "::"))) >= 3


@pytest.mark.parametrize("size", ["8M", "32M", "160M"])
def test_the_state_is_a_whole_empty_ext4_and_the_same_whenever_it_is_built(
    runner: SystemRunner, tmp_path: Path, size: str
) -> None:
    wanted = definition(size)
    for name in ("first", "second"):
        make_state(runner, tmp_path / name, wanted, wanted.partitions[0])
    run_tool("e2fsck", "-f", "-n", tmp_path / "first")
    run_tool("cmp", tmp_path / "first", tmp_path / "second")
    found = run_tool("blkid", "-p", "-o", "export", tmp_path / "first")
    assert "TYPE=ext4\n" in found
    assert "LABEL=EFI-SYSTEM\n" in found
    assert "BLOCK_SIZE=4096\n" in found
    assert "has_journal" in run_tool("dumpe2fs", "-h", tmp_path / "first")
