"""Members of md arrays are recognised wherever their superblock stands, and libblkid agrees."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from gptlib.read.md import is_md_member
from tests.gptlib.handmade import Gpt
from tests.gptlib.readers import run, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MEBI = 1 << 20
MAGIC = 0xA92B4EFC
SIZES = [4 * MEBI, 4 * MEBI + 512, 4 * MEBI + 40 * 512, 8 * MEBI - 512, 5 * MEBI + 63 * 1024]


def version_1(offset: int) -> bytes:
    """struct mdp_superblock_1 (linux/raid/md_p.h) of a mirror, with its checksum; byte by byte as md writes it."""
    block = bytearray(1024)
    struct.pack_into("<4L16s32sQ2lQ2l", block, 0, MAGIC, 1, 0, 0, b"i" * 16, b"host:boot", 1, 1, 0, 8, 0, 2)
    struct.pack_into("<3Q", block, 128, 0, 4096, offset // 512)
    struct.pack_into("<L", block, 220, 128)
    words = struct.unpack("<128L", block[: 256 + 2 * 128])
    total = sum(words)
    struct.pack_into("<L", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    return bytes(block)


def version_0(order: str, size: int) -> bytes:
    """The start of struct mdp_super_block of a mirror whose members hold ``size`` bytes: 0.90.0, made at some time."""
    return struct.pack(f"{order}9L", MAGIC, 0, 90, 0, 0, 0x11223344, 1, 1, size // 1024).ljust(4096, b"\0")


def end_of(size: int, unit: int, back: int) -> int:
    return size // unit * unit - back


SUPERBLOCKS: dict[str, Callable[[int], tuple[int, bytes]]] = {
    "0.90": lambda size: (end_of(size, 65536, 65536), version_0("<", end_of(size, 65536, 65536))),
    "0.90 of a big-endian machine": lambda size: (
        end_of(size, 65536, 65536),
        version_0(">", end_of(size, 65536, 65536)),
    ),
    "1.0": lambda size: (end_of(size, 4096, 8192), version_1(end_of(size, 4096, 8192))),
    "1.1": lambda _: (0, version_1(0)),
    "1.2": lambda _: (4096, version_1(4096)),
}


def image(folder: Path, size: int, content: bytes = b"", at: int = 0) -> Path:
    path = folder / "disk.img"
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(at)
        file.write(content)
    return path


def is_member(path: Path, *partitions: tuple[int, int]) -> bool:
    data = path.read_bytes()
    return is_md_member(lambda offset, length: data[offset : offset + length], len(data), partitions)


def blkid_says(path: Path) -> bool:
    return "TYPE=linux_raid_member" in run("blkid", "-p", "-o", "export", path).stdout.splitlines()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("version", SUPERBLOCKS)
def test_every_version_is_found_in_its_place(ram: Path, version: str, size: int) -> None:
    at, block = SUPERBLOCKS[version](size)
    path = image(ram, size, block, at)
    assert blkid_says(path)
    assert is_member(path)


@pytest.mark.parametrize("version", SUPERBLOCKS)
def test_a_superblock_anywhere_else_is_none(ram: Path, version: str) -> None:
    at, block = SUPERBLOCKS[version](4 * MEBI)
    for wrong in (at + 512, at + 65536 if at < 2 * MEBI else at - 65536):
        path = image(ram, 4 * MEBI, block, wrong)
        assert not blkid_says(path)
        assert not is_member(path)


@pytest.mark.parametrize("field", [(0, b"\0\0\0\0"), (4, b"\2\0\0\0"), (144, b"\xff" * 8)])
def test_what_is_no_superblock_of_version_1_is_none(ram: Path, field: tuple[int, bytes]) -> None:
    block = bytearray(version_1(4096))
    block[field[0] : field[0] + len(field[1])] = field[1]
    path = image(ram, 4 * MEBI, bytes(block), 4096)
    assert not blkid_says(path)
    assert not is_member(path)


def test_a_superblock_in_the_last_partition_is_that_partitions_own(ram: Path) -> None:
    size = 4 * MEBI + 40 * 512  # so that the last 64 KiB of the partition are those of the disk
    path = image(ram, size)
    tool("sgdisk", "-n", "1:2048:0", path)
    with Disk.open(path) as disk:
        partition = disk.table().partition(1)
    start, end = partition.first_lba * 512, (partition.last_lba + 1) * 512
    at = end_of(size, 65536, 65536)
    assert at == start + end_of(end - start, 65536, 65536)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(version_0("<", at - start))
    assert not blkid_says(path)
    assert not is_member(path, (start, end))
    assert is_member(path)
    assert is_member(path, (start, size + 512)), "a partition of an array that is larger than this member"


def test_a_disk_with_a_table_is_none_and_neither_is_one_that_is_too_small_or_unreadable(ram: Path) -> None:
    path = image(ram, 4 * MEBI, bytes(Gpt().image()))
    assert not is_member(path)
    for size in (0, 512, 8192, 65536):
        assert not is_member(image(ram, size))
    assert not is_md_member(lambda *_: b"", 4 * MEBI)
