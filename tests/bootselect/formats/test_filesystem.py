"""What a file system is and where it ends, told from its first block as the tools that know it do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bootselect.formats.filesystem import HEAD, FileSystem, filesystem_of
from bootselect.initramfs.filesystems import uuid_of
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

UUID = "12345678-9abc-4def-8123-456789abcdef"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(range(256)) * 300)
    return folder


def head(image: Path) -> bytes:
    with image.open("rb") as stream:
        return stream.read(HEAD)


def found(image: Path) -> FileSystem:
    known = filesystem_of(head(image))
    assert known is not None
    return known


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return int(match[1])


def ext4_bytes(image: Path) -> int:
    said = run_tool("dumpe2fs", "-h", image)
    return number(r"^Block count: +(\d+)$", said) * number(r"^Block size: +(\d+)$", said)


@pytest.mark.parametrize("compression", [[], ["-zlz4"]])
def test_erofs_is_as_long_as_dump_erofs_says(tree: Path, tmp_path: Path, compression: list[str]) -> None:
    image = tmp_path / "image"
    run_tool("mkfs.erofs", f"-U{UUID}", *compression, image, tree)
    blocks = number(r"^Filesystem blocks: +(\d+)", run_tool("dump.erofs", "-s", image))
    assert (found(image).name, found(image).size) == ("erofs", blocks * 4096)
    assert uuid_of(head(image)) == UUID


@pytest.mark.parametrize("block", ["4096", "131072", "1048576"])
def test_squashfs_is_as_long_as_unsquashfs_says(tree: Path, tmp_path: Path, block: str) -> None:
    image = tmp_path / "image"
    run_tool("mksquashfs", tree, image, "-quiet", "-no-progress", "-b", block)
    size = number(r"^Filesystem size (\d+) bytes", run_tool("unsquashfs", "-s", image))
    assert found(image) == FileSystem("squashfs", size)
    assert uuid_of(head(image)) == ""


@pytest.mark.parametrize("options", [[], ["-O", "^64bit"], ["-O", "64bit"], ["-O", "bigalloc,64bit"]], ids=str)
@pytest.mark.parametrize("block", ["1024", "2048", "4096"])
def test_ext4_is_as_long_as_dumpe2fs_says(tree: Path, tmp_path: Path, block: str, options: list[str]) -> None:
    image = tmp_path / "image"
    run_tool("mkfs.ext4", "-q", "-b", block, *options, "-U", UUID, "-d", tree, image, "16M")
    assert found(image) == FileSystem("ext4", ext4_bytes(image), bytes.fromhex(UUID.replace("-", "")), block=int(block))
    assert uuid_of(head(image)) == UUID


def test_ext4_with_more_blocks_than_32_bits_count(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as stream:
        stream.truncate(5 << 40)
    # Large clusters for few groups, and only the superblocks (-S): else it takes a minute.
    features = ["-O", "64bit,bigalloc,^has_journal,^resize_inode", "-C", "1048576", "-N", "4096"]
    run_tool("mkfs.ext4", "-q", "-S", "-F", "-b", "1024", *features, image)
    assert found(image).size == ext4_bytes(image) == 5 << 40


@pytest.mark.parametrize("kind", ["ext2", "ext3"])
def test_what_the_driver_of_ext4_mounts_is_ext4(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "image"
    run_tool(f"mkfs.{kind}", "-q", image, "4M")
    assert (found(image).name, found(image).size) == ("ext4", 4 << 20)


def test_a_journal_that_has_to_be_replayed_is_seen(tmp_path: Path) -> None:
    image = tmp_path / "image"
    run_tool("mkfs.ext4", "-q", image, "16M")
    assert not found(image).unfinished
    run_tool("debugfs", "-w", "-R", "feature needs_recovery", image)
    assert "needs_recovery" in run_tool("dumpe2fs", "-h", image)
    assert found(image).unfinished


def test_content_that_looks_like_another_superblock_is_not_believed(tree: Path, tmp_path: Path) -> None:
    """A file that is stored as it is comes right behind the superblock of squashfs: every magic of the others could be in it."""
    data = bytearray(HEAD)
    for magic, place in ((b"\xe2\xe1\xf5\xe0", 1024), (b"\x53\xef", 1080)):
        data[place - 96 : place - 96 + len(magic)] = magic
    (tree / "file").write_bytes(data)
    image = tmp_path / "image"
    run_tool("mksquashfs", tree, image, "-quiet", "-no-progress", "-noD", "-noF", "-no-fragments", "-b", "4096")
    assert head(image)[1024:1028] + head(image)[1080:1082] == b"\xe2\xe1\xf5\xe0\x53\xef"
    assert found(image).name == "squashfs"


def test_a_uuid_of_erofs_that_holds_the_magic_of_ext4_changes_nothing(tree: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    run_tool("mkfs.erofs", "-U12345678-9abc-4def-53ef-456789abcdef", image, tree)
    assert head(image)[1080:1082] == b"\x53\xef"
    assert found(image).name == "erofs"


@pytest.mark.parametrize(
    "data", [b"", bytes(HEAD), b"\xff" * HEAD, b"hsq" + bytes(HEAD)], ids=["empty", "zero", "ff", "cut"]
)
def test_what_is_no_file_system_is_none(data: bytes) -> None:
    assert filesystem_of(data) is None


def test_a_partition_with_fat_is_none_that_a_slot_has(tmp_path: Path) -> None:
    image = tmp_path / "image"
    run_tool("mkfs.fat", "-C", image, "1024")
    assert filesystem_of(head(image)) is None


@pytest.mark.parametrize("length", [4, 1026, 1028, 1037, 1082, 1121])
def test_a_superblock_that_is_cut_short_breaks_nothing(length: int) -> None:
    erofs, ext4 = bytes(1024) + b"\xe2\xe1\xf5\xe0" + bytes(3068), bytes(1080) + b"\x53\xef" + bytes(3014)
    for whole in (b"hsqs" + bytes(4092), erofs, ext4):
        known = filesystem_of(whole[:length])
        assert known is None or known.size == 0


def test_an_impossible_block_size_of_ext4_gives_no_size() -> None:
    damaged = bytearray(bytes(1080) + b"\x53\xef" + bytes(3014))
    damaged[1028:1032] = damaged[1048:1052] = b"\xff\xff\xff\xff"
    known = filesystem_of(bytes(damaged))
    assert known is not None
    assert known.size == 0
