"""The block map: bmaptool takes it, and a medium that was full of something else holds what it must afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from image_builder.output.bmap import map_blocks
from image_builder.output.kinds import OUTPUTS
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
BLOCKS = MIB // 4096


def written(disk: Path) -> Path:
    target = disk.with_suffix(".bmap")
    OUTPUTS["bmap"].write(SystemRunner(), disk, target, epoch=0)
    return target


def flashed(disk: Path) -> Path:
    """The image on a medium that was full of the letter x, as far as the map says."""
    medium = disk.with_name("medium")
    with medium.open("wb") as file:
        file.write(b"x" * disk.stat().st_size)
        for first, last in map_blocks(disk):
            file.seek(first * 4096)
            with disk.open("rb") as source:
                source.seek(first * 4096)
                file.write(source.read((last - first + 1) * 4096))
    return medium


needs_bmaptool = pytest.mark.skipif(shutil.which("bmaptool") is None, reason="bmaptool (bmap-tools) is not installed")


@needs_bmaptool
def test_bmaptool_copies_by_it_and_finds_its_checksums_right(disk: Path, tmp_path: Path) -> None:
    run_tool("bmaptool", "copy", "--bmap", written(disk), disk, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == disk.read_bytes()


@needs_bmaptool
def test_bmaptool_finds_the_map_beside_the_image_and_a_changed_image_by_it(disk: Path, tmp_path: Path) -> None:
    written(disk)
    with disk.open("r+b") as file:
        file.seek(MIB + 8192)
        file.write(b"changed")
    done = subprocess.run(["bmaptool", "copy", disk, tmp_path / "copy"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "checksum mismatch" in done.stderr


@needs_bmaptool
def test_the_fields_are_those_of_a_map_by_bmaptool(disk: Path, tmp_path: Path) -> None:
    run_tool("bmaptool", "create", "-o", tmp_path / "reference", disk)
    ours, theirs = (ET.parse(path).getroot() for path in (written(disk), tmp_path / "reference"))  # noqa: S314
    assert (ours.tag, ours.attrib) == (theirs.tag, theirs.attrib)
    assert [child.tag for child in ours] == [child.tag for child in theirs]
    same = ("ImageSize", "BlockSize", "BlocksCount", "ChecksumType")
    assert [ours.findtext(tag) for tag in same] == [theirs.findtext(tag) for tag in same]
    assert int(ours.findtext("MappedBlocksCount") or "") == sum(last - first + 1 for first, last in map_blocks(disk))


def test_a_medium_that_was_full_has_a_sound_table_afterwards(disk: Path) -> None:
    assert "No problems found" in run_tool("sgdisk", "-v", flashed(disk))


def test_zeros_within_a_partition_that_holds_something_are_written(disk: Path) -> None:
    medium, start = flashed(disk).read_bytes(), 9 * MIB
    assert medium[start : start + 8 * MIB] == disk.read_bytes()[start : start + 8 * MIB]


def test_zeros_at_the_end_of_a_file_system_are_written(disk: Path, tmp_path: Path) -> None:
    tree = tmp_path / "zeros"
    tree.mkdir()
    (tree / "zeros").write_bytes(b"x" + bytes(MIB))
    image = tmp_path / "zeros.erofs"
    run_tool("mkfs.erofs", image, tree)
    content = image.read_bytes()
    assert not content[-64 << 10 :].strip(b"\0")
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(4 * MIB))
        file.seek(MIB)
        file.write(content)
    assert flashed(disk).read_bytes()[MIB : MIB + len(content)] == content


def test_what_stands_behind_a_file_system_is_written(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(3 * MIB)
        file.write(os.urandom(40960) + bytes(4096))
    assert flashed(disk).read_bytes()[MIB : 3 * MIB + 40960] == disk.read_bytes()[MIB : 3 * MIB + 40960]


def test_of_zeros_nothing_is_written_but_where_an_old_signature_could_be(disk: Path) -> None:
    slot = range(5 * BLOCKS, 9 * BLOCKS)
    mapped = {block for first, last in map_blocks(disk) for block in range(first, last + 1)}
    assert sorted(mapped & set(slot)) == [*slot[:BLOCKS], *slot[-BLOCKS:]]
    # Behind the erofs of the first slot: it has its 1 MiB file and less than 64 KiB more.
    slot = range(BLOCKS, 5 * BLOCKS)
    assert not mapped & set(slot[BLOCKS + 16 : -BLOCKS])
    assert mapped >= set(slot[-BLOCKS:])
    # Free space, up to the backup of the table.
    assert not mapped & set(range(17 * BLOCKS, 21 * BLOCKS - 5))


def test_blocks_are_counted_where_sectors_do_not_fill_them(tmp_path: Path) -> None:
    image = tmp_path / "odd.raw"
    with image.open("wb") as file:
        file.truncate(4 * MIB)
    run_tool("sgdisk", "-a", "1", "-n", "1:2049:2055", "-n", "2:3003:3009", image)
    with image.open("r+b") as file:
        file.seek(2055 * 512)
        file.write(b"last sector")
    medium = flashed(image).read_bytes()
    for first, last in ((2049, 2055), (3003, 3009)):
        assert medium[first * 512 : (last + 1) * 512] == image.read_bytes()[first * 512 : (last + 1) * 512]
