"""FAT file systems, judged by the tools of their makers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from image_builder.errors import TooLargeError
from image_builder.filesystem.vfat import write_fat
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
EPOCH = 1704067200


def esp(folder: Path, size: int, sector: int = 512, content: bytes = b"MZ") -> Path:
    """A file system of so many MiB with a program where firmware looks for one."""
    folder.mkdir(exist_ok=True)
    uki = folder / "uki.efi"
    uki.write_bytes(content)
    write_fat(
        SystemRunner(),
        folder / "esp",
        {"EFI/BOOT/BOOTX64.EFI": uki},
        label="EFI-SYSTEM",
        size=size * MIB,
        sector_size=sector,
        volume_id="0badc0de",
        epoch=EPOCH,
    )
    return folder / "esp"


@pytest.mark.parametrize(
    ("size", "sector", "fat"),
    [(64, 512, "FAT32"), (1024, 4096, "FAT32"), (64, 4096, "FAT16"), (32, 512, "FAT16"), (4, 512, "FAT12")],
)
def test_the_firmware_finds_its_program(tmp_path: Path, size: int, sector: int, fat: str) -> None:
    content = b"MZ" + bytes(range(256)) * 4096
    file = esp(tmp_path, size, sector, content)
    assert file.stat().st_size == size * MIB
    run_tool("mcopy", "-i", file, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "read-back")
    assert (tmp_path / "read-back").read_bytes() == content
    found = run_tool("blkid", "-p", "-o", "export", file)
    assert f"VERSION={fat}\n" in found
    assert f"BLOCK_SIZE={sector}\n" in found
    run_tool("fsck.fat", "-n", file)


def test_an_esp_is_filled_to_the_limit_that_is_told_and_not_beyond(tmp_path: Path) -> None:
    for size, sector in ((4, 512), (8, 4096), (36, 512)):
        content = bytes(size * MIB - size * MIB // 60 - (256 << 10))
        file = esp(tmp_path / f"{size}", size, sector, content)
        run_tool("fsck.fat", "-n", file)
    with pytest.raises(
        TooLargeError, match=r"uki\.efi: \d+ bytes do not fit into partition EFI-SYSTEM of 4194304 bytes"
    ):
        esp(tmp_path / "large", 4, content=bytes(4 * MIB - 1))


@pytest.mark.parametrize("sector", [512, 4096])
def test_an_esp_is_the_same_whenever_it_is_built(tmp_path: Path, sector: int) -> None:
    first = esp(tmp_path / "first", 64, sector)
    (tmp_path / "second").mkdir(mode=0o700)
    assert first.read_bytes() == esp(tmp_path / "second", 64, sector).read_bytes()
    # What is in it has the date that everything in an image has.
    assert len(re.findall(r"2024-01-01 +0:00", run_tool("mdir", "-i", first, "-/", "::"))) >= 3


def test_files_lie_beside_each_other_in_folders_that_are_made_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    files = dict.fromkeys(
        ("EFI/BOOT/BOOTX64.EFI", "efi/boot/more.bin", "logo.bmp", "a/b/c/long name.txt"), tmp_path / "file"
    )
    write_fat(
        SystemRunner(),
        tmp_path / "esp",
        files,
        label="My ESP",
        size=8 * MIB,
        sector_size=512,
        volume_id="1",
        epoch=EPOCH,
    )
    run_tool("fsck.fat", "-n", tmp_path / "esp")
    listed = run_tool("mdir", "-i", tmp_path / "esp", "-/", "-b", "::").splitlines()
    assert [name for name in sorted(listed) if not name.endswith("/")] == [
        "::/EFI/BOOT/BOOTX64.EFI",
        "::/EFI/BOOT/more.bin",
        "::/a/b/c/long name.txt",
        "::/logo.bmp",
    ]
    assert "LABEL=MY\\ ESP\n" in run_tool("blkid", "-p", "-o", "export", tmp_path / "esp")
