"""Odd disks as people have them, made with sgdisk, sfdisk, fdisk and qemu-img; the names are those of the table in docs/gpt.md."""

from __future__ import annotations

import struct
import zlib
from functools import wraps
from typing import TYPE_CHECKING

from tests.gptlib.readers import tool
from tests.gptlib.tables import blank

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Regions = dict[str, range]
    """What else stands on the disk -> its sectors."""

SECTORS = 8192
USR = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
LOADER = b"SPL of a board  " * 32
LAST = SECTORS - 1


def remembered(make: Callable[..., Regions]) -> Callable[..., Regions]:
    """Make a disk once: the tools that do it call sync, and wait for all that the machine has to write."""
    known: dict[tuple[tuple[str, int], ...], tuple[bytes, Regions]] = {}

    @wraps(make)
    def again(path: Path, **options: int) -> Regions:
        key = tuple(options.items())
        if key not in known:
            regions = make(path, **options)
            known[key] = path.read_bytes(), regions
        image, regions = known[key]
        path.write_bytes(image)
        return regions

    return again


@remembered
def two_slots(path: Path, *, entries: int = 128) -> Regions:
    """USR-A 1/0/1 and USR-B 2/3/0 in a table of sgdisk."""
    words = ["-S", entries, "-n", "1:2048:3071", "-n", "2:3072:4095", "-c", "1:USR-A", "-c", "2:USR-B"]
    bits = [(1, 48), (1, 56), (2, 49), (2, 52), (2, 53)]
    words += [word for number, bit in bits for word in ("-A", f"{number}:set:{bit}")]
    tool("sgdisk", "-a", 1, *words, "-t", f"1:{USR}", "-t", f"2:{USR}", blank(path, SECTORS))
    return {}


@remembered
def two_slots_of_sfdisk(path: Path, *, entries: int = 128) -> Regions:
    """The same in a table of sfdisk, whose usable sectors begin at 2048."""
    script = (
        f"label: gpt\ntable-length: {entries}\nfirst-lba: 2048\n"
        f'1: start=2048, size=1024, type={USR}, name="USR-A", attrs="GUID:48,56"\n'
        f'2: start=3072, size=1024, type={USR}, name="USR-B", attrs="GUID:49,52,53"\n'
    )
    tool("sfdisk", "-q", "--no-tell-kernel", "--no-reread", blank(path, SECTORS), text=script)
    return {}


def put(path: Path, sector: int, data: bytes) -> range:
    with path.open("r+b") as file:
        file.seek(sector * 512)
        file.write(data)
    return range(sector, sector + len(data) // 512)


def resign(path: Path, lba: int, **fields: int) -> None:
    """Change fields of a header and make the CRC of its array and its own right again."""
    data = bytearray(path.read_bytes())
    places = {"first": (40, "<Q"), "last": (48, "<Q"), "entries": (72, "<Q"), "number": (80, "<L"), "size": (84, "<L")}
    for name, value in fields.items():
        offset, layout = places[name]
        struct.pack_into(layout, data, lba * 512 + offset, value)
    entries, number, size = struct.unpack_from("<QLL", data, lba * 512 + 72)
    struct.pack_into("<L", data, lba * 512 + 88, zlib.crc32(data[entries * 512 : entries * 512 + number * size]))
    struct.pack_into("<L", data, lba * 512 + 16, 0)
    struct.pack_into("<L", data, lba * 512 + 16, zlib.crc32(data[lba * 512 : lba * 512 + 92]))
    path.write_bytes(data)


def grow(path: Path, sectors: int) -> int:
    """Make a disk larger; its last sector."""
    total = path.stat().st_size // 512 + sectors
    with path.open("r+b") as file:
        file.truncate(total * 512)
    return total - 1


@remembered
def partition_to_the_end(path: Path) -> Regions:
    two_slots(path)
    tool("sgdisk", "-a", 1, "-n", f"3:5000:{LAST - 33}", path)
    put(path, 2, path.read_bytes()[1024:1536][:296] + struct.pack("<Q", LAST) + path.read_bytes()[1328:1536])
    resign(path, 1)
    return {"partition 3": put(path, 5000, b"precious" * 64 * (SECTORS - 5000))}


def partition_in_the_primary_array(path: Path) -> Regions:
    two_slots(path)
    for array, header in ((2, 1), (LAST - 32, LAST)):
        data = path.read_bytes()[array * 512 : array * 512 + 512]
        put(path, array, data[:288] + struct.pack("<QQ", 30, 60) + data[304:])
        put(path, array, _third(path.read_bytes()[array * 512 : array * 512 + 512]))
        resign(path, header)
    return {"partition 3": put(path, 34, b"precious" * 64 * 27)}


def _third(sector: bytes) -> bytes:
    """The first sector of an array with a third entry, as the second but for its GUID and place."""
    entry = bytearray(sector[128:256])
    entry[16:32] = b"third partition!"
    struct.pack_into("<QQQ72s", entry, 32, 30, 60, 0, "DATA".encode("utf-16-le"))
    return sector[:256] + bytes(entry) + sector[384:]


@remembered
def array_at_1000(path: Path) -> Regions:
    two_slots(path)
    tool("sgdisk", "-j", 1000, path)
    tool("fdisk", path, text="x\nl\n256\nr\nw\n")
    return {"the boot loader": put(path, 16, LOADER * 50)}


def loader_in_the_unused_part(path: Path) -> Regions:
    two_slots(path)
    return {"the boot loader": put(path, 16, LOADER * 18)}


def loader_in_the_place_of_the_primary(path: Path) -> Regions:
    two_slots_of_sfdisk(path)
    put(path, 1, bytes(512))
    return {"the boot loader": put(path, 2, LOADER * 400)}


def loader_behind_56_entries(path: Path) -> Regions:
    two_slots_of_sfdisk(path, entries=56)
    put(path, 1, bytes(512 * 15))
    return {"the boot loader": put(path, 16, LOADER * 400)}


def loader_behind_the_primary(path: Path) -> Regions:
    two_slots_of_sfdisk(path)
    put(path, 1, bytes(512 * 33))
    return {"the boot loader": put(path, 64, LOADER * 400)}


@remembered
def fixed_vhd(path: Path) -> Regions:
    raw = path.with_name("raw.img")
    two_slots(raw)
    tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", raw, path)
    return {"the footer": range(SECTORS, SECTORS + 1)}


def fixed_vhd_without_primary_entries(path: Path) -> Regions:
    regions = fixed_vhd(path)
    put(path, 2, bytes(512))
    return regions


def md_member(path: Path) -> Regions:
    two_slots(path)
    last = grow(path, 33)
    # So much before the end, in whole blocks of 4 KiB, stands metadata 1.0.
    sector = (last + 1 - 16) // 8 * 8
    superblock = struct.pack("<3L", 0xA92B4EFC, 1, 0).ljust(144, b"\0") + struct.pack("<Q", sector)
    return {"the superblock": put(path, sector, superblock.ljust(512, b"\0"))}


def footer_for_a_backup(path: Path) -> Regions:
    two_slots(path)
    return {"the footer": put(path, LAST, b"conectix\0\0\0\2\0\1\0\0".ljust(512, b"\xff"))}


def data_in_the_place_of_the_backup(path: Path) -> Regions:
    two_slots(path)
    return {"the data": put(path, LAST - 20, b"firmware update " * 32 * 21)}


def grown(path: Path) -> Regions:
    two_slots(path)
    grow(path, 1000)
    return {}


def cut_off(path: Path, filler: bytes = b"") -> Regions:
    two_slots(path)
    data = path.read_bytes()[: 6000 * 512]
    path.write_bytes(data)
    return {"the data": put(path, 5980, filler)} if filler else {}


def cut_off_with_data(path: Path) -> Regions:
    return cut_off(path, b"firmware update " * 32 * 20)


def ignored_primary(path: Path) -> Regions:
    two_slots(path)
    put(path, 1, b"IGNOREME")
    return {}


def one_array(path: Path) -> Regions:
    two_slots(path)
    resign(path, LAST, entries=2)
    return {}


def backup_array_elsewhere(path: Path) -> Regions:
    two_slots(path)
    put(path, 7000, path.read_bytes()[1024 : 34 * 512])
    put(path, LAST - 32, bytes(32 * 512))
    for header in (1, LAST):
        resign(path, header, last=6999)
    resign(path, LAST, entries=7000)
    return {"the data": put(path, LAST - 32, b"firmware update " * 32 * 32)}


def entries_of_256_bytes(path: Path) -> Regions:
    two_slots(path)
    data = path.read_bytes()
    array = b"".join(data[1024 + at : 1024 + at + 128].ljust(256, b"\0") for at in range(0, 64 * 128, 128))
    for lba, header in ((2, 1), (LAST - 32, LAST)):
        put(path, lba, array)
        resign(path, header, number=64, size=256)
    return {}


def shape(entries: int) -> Callable[[Path], Regions]:
    def make(path: Path) -> Regions:
        two_slots(path, entries=entries)
        return {}

    return make


DISKS: dict[str, Callable[[Path], Regions]] = {
    "partition 3 reaches to the last sector, and there is no backup": partition_to_the_end,
    "partition 3 begins inside the primary array": partition_in_the_primary_array,
    "the primary array at sector 1000, among the usable sectors; a boot loader at 16": array_at_1000,
    "a boot loader in the unused part of the primary array": loader_in_the_unused_part,
    "usable from sector 2048; the primary lost, a boot loader from sector 2 on": loader_in_the_place_of_the_primary,
    "the same, but 56 entries, and the boot loader from sector 16 on": loader_behind_56_entries,
    "the same, but 128 entries, and the boot loader from sector 64 on": loader_behind_the_primary,
    "a fixed VHD: a footer behind the disk": fixed_vhd,
    "the same, and the primary array damaged": fixed_vhd_without_primary_entries,
    "a grown disk that ends with a superblock of md": md_member,
    "a grown disk": grown,
    "the end is gone; zeros where it ends now": cut_off,
    "the end is gone; data where it ends now": cut_off_with_data,
    "the footer of a VHD in the place of the backup header": footer_for_a_backup,
    "data in the place of the backup": data_in_the_place_of_the_backup,
    "the primary marked IGNOREME": ignored_primary,
    "both headers name one array": one_array,
    "the backup array far before its header, data between them": backup_array_elsewhere,
    "8 entries": shape(8),
    "256 entries": shape(256),
    "64 entries of 256 bytes": entries_of_256_bytes,
}
