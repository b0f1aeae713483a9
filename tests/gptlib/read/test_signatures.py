"""What ends a disk is recognised where libblkid finds it, on disks of any size."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

import pytest

import gptlib.read.signatures
from gptlib.read.signatures import signature_at_end
from tests.gptlib.readers import run, tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20
# Multiples of 64 KiB, of 4 KiB, of 512 bytes only; the first sizes behind and before such a multiple.
SIZES = [4 * MIB, 4 * MIB + 4096, 4 * MIB + 512, 5 * MIB - 512, 4 * MIB + 61 * 1024 + 512]


def from_end(sectors: int) -> Callable[[int], int]:
    return lambda size: size - sectors * 512


def aligned(unit: int, back: int) -> Callable[[int], int]:
    """So many bytes before the last multiple of the unit."""
    return lambda size: size // unit * unit - back


def md_1_0(size: int) -> bytes:
    offset = aligned(4096, 8192)(size) // 512
    return struct.pack("<3L", 0xA92B4EFC, 1, 0).ljust(144, b"\0") + struct.pack("<Q", offset)


def md_0_90(order: str) -> Callable[[int], bytes]:
    return lambda _: struct.pack(f"{order}4L", 0xA92B4EFC, 0, 90, 0)


def silicon(_: int) -> bytes:
    data = bytearray(512)
    data[0x60:0x64] = b"\0\0\0\x2f"
    total = sum(struct.unpack("<159H", data[:0x13E]))
    data[0x13E:0x140] = struct.pack("<H", -total & 0xFFFF)
    return bytes(data)


def via(_: int) -> bytes:
    data = bytearray(b"\x55\xaa\1".ljust(51, b"\0"))
    data[50] = sum(data[:50]) & 0xFF
    return bytes(data)


def adaptec(_: int) -> bytes:
    # The second mark stands before the last 252 bytes of the 512.
    return b"\x37\xfc\x4d\x1e".ljust(256, b"\0") + b"DPTM"


def nilfs(size: int) -> bytes:
    data = bytearray(1024)
    data[:14] = struct.pack("<LHHHH", 2, 0, 0x3434, 280, 0) + bytes(2)
    struct.pack_into("<L", data, 12, 0x1234)
    struct.pack_into("<Q", data, 32, size)
    total = zlib.crc32(bytes(data[:280]), 0x1234 ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    struct.pack_into("<L", data, 16, total)
    return bytes(data)


def plain(data: bytes) -> Callable[[int], bytes]:
    return lambda _: data


# Name at libblkid, what we call it, where it is, what is there.
FORMATS: list[tuple[str, str, Callable[[int], int], Callable[[int], bytes]]] = [
    ("linux_raid_member", "metadata 1.0", aligned(4096, 8192), md_1_0),
    ("linux_raid_member", "metadata 0.90", aligned(65536, 65536), md_0_90("<")),
    ("linux_raid_member", "metadata 0.90", aligned(65536, 65536), md_0_90(">")),
    ("ddf_raid_member", "DDF", from_end(1), plain(b"\xde\x11\xde\x11")),
    ("ddf_raid_member", "DDF", from_end(257), plain(b"\x11\xde\x11\xde")),
    ("isw_raid_member", "Intel", from_end(2), plain(b"Intel Raid ISM Cfg Sig. 1.3.00")),
    ("lsi_mega_raid_member", "LSI", from_end(1), plain(b"$XIDE$")),
    ("nvidia_raid_member", "NVIDIA", from_end(2), plain(b"NVIDIA\0\0" + struct.pack("<L", 30))),
    ("jmicron_raid_member", "JMicron", from_end(1), plain(b"JM\1\0")),
    ("silicon_medley_raid_member", "Silicon Image", from_end(1), silicon),
    ("via_raid_member", "VIA", from_end(1), via),
    ("adaptec_raid_member", "Adaptec", from_end(1), adaptec),
    ("hpt45x_raid_member", "HighPoint", from_end(11), plain(struct.pack("<L", 0x5A7816F3))),
    ("hpt45x_raid_member", "HighPoint", from_end(11), plain(struct.pack("<L", 0x5A7816FD))),
    *(
        ("promise_fasttrack_raid_member", "Promise", from_end(back), plain(b"Promise Technology, Inc."))
        for back in (63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087)
    ),
    *(("drbd", "DRBD", from_end(8), plain(bytes(60) + struct.pack(">L", 0x8374026B + n))) for n in range(3)),
    ("nilfs2", "nilfs2", from_end(8), nilfs),
]


def image(path: Path, size: int, offset: int, data: bytes) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(offset)
        file.write(data)
    return path


def found(path: Path) -> str:
    with path.open("rb") as file:

        def peek(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return signature_at_end(peek, path.stat().st_size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", FORMATS, ids=lambda case: f"{case[0]}-{case[2](0)}")
def test_what_blkid_knows_is_known(
    ram: Path, case: tuple[str, str, Callable[[int], int], Callable[[int], bytes]], size: int
) -> None:
    name, words, place, data = case
    path = image(ram / "disk.img", size, place(size), data(size))
    assert tool("blkid", "-p", "-s", "TYPE", "-o", "value", path) == f"{name}\n"
    assert words in found(path)


@pytest.mark.parametrize("size", [64 * MIB, 64 * MIB + 4096 + 512, 65 * MIB - 512])
@pytest.mark.parametrize("order", ["<", ">"])
def test_zfs_is_known_by_the_uberblocks_of_its_last_label(ram: Path, size: int, order: str) -> None:
    path = ram / "disk.img"
    label = size // (256 << 10) * (256 << 10) - (256 << 10)
    image(path, size, label + (128 << 10), struct.pack(f"{order}2Q", 0x00BAB10C, 5000).ljust(1024, b"\0") * 4)
    assert tool("blkid", "-p", "-s", "TYPE", "-o", "value", path) == "zfs_member\n"
    assert "ZFS" in found(path)


@pytest.mark.parametrize("size", SIZES)
def test_the_footer_of_a_vhd_is_known(ram: Path, size: int) -> None:
    raw = image(ram / "disk.img", size, 0, b"")
    tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", raw, ram / "disk.vhd")
    assert found(ram / "disk.vhd") == "the footer of a VHD"


def test_a_mirror_of_geom_is_known(ram: Path) -> None:
    assert found(image(ram / "disk.img", MIB, MIB - 512, b"GEOM::MIRROR\0\0\0\0")) == "metadata of FreeBSD's GEOM"


def test_intels_metadata_on_sectors_of_4096_bytes_is_known(ram: Path) -> None:
    """It stands in the last sector but one, whatever their size."""
    assert "Intel" in found(image(ram / "disk.img", MIB, MIB - 8192, b"Intel Raid ISM Cfg Sig. 1.3.00"))


@pytest.mark.parametrize("size", SIZES)
def test_the_backup_of_nilfs2_is_known_where_the_kernel_writes_it(ram: Path, size: int) -> None:
    """In the last whole block of 4 KiB, where libblkid does not look on other sizes."""
    assert "nilfs2" in found(image(ram / "disk.img", size, aligned(4096, 4096)(size), nilfs(size)))


@pytest.mark.parametrize("size", [0, 512, 1024, 4096, 33 * 512, *SIZES])
def test_an_empty_disk_of_any_size_ends_with_nothing(ram: Path, size: int) -> None:
    assert found(image(ram / "disk.img", size, 0, b"")) == ""


def test_every_format_is_tested() -> None:
    tested = " ".join(words for _, words, *_ in FORMATS)
    known = {name for name, *_ in gptlib.read.signatures._FORMATS}
    untested = {name for name in known if not any(words in name for _, words, *_ in FORMATS)}
    assert untested == {"the footer of a VHD", "metadata of FreeBSD's GEOM"}, tested


def test_a_table_alone_ends_a_disk_with_nothing(ram: Path) -> None:
    path = image(ram / "disk.img", 4 * MIB, 0, b"")
    tool("sgdisk", "-n", "1:2048:+1M", "-n", "2:0:0", path)
    assert run("blkid", "-p", "-s", "PTTYPE", "-o", "value", path).stdout == "gpt\n"
    assert found(path) == ""
    assert re.search(rb"EFI PART", path.read_bytes()[-512:])
