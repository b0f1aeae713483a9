"""GPTs put together from UEFI's tables 5.5 and 5.6 with struct and zlib alone: they share nothing with gptlib."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass, field

DISK = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
USR = uuid.UUID("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6")


@dataclass(frozen=True)
class Entry:
    """A used entry; ``tail`` is what a large entry holds after the 128 bytes that UEFI defines."""

    first: int
    last: int
    name: str = ""
    attributes: int = 0
    kind: uuid.UUID = USR
    guid: uuid.UUID = field(default_factory=uuid.uuid4)
    tail: bytes = b""

    def encode(self, size: int) -> bytes:
        numbers = struct.pack("<3Q", self.first, self.last, self.attributes)
        name = self.name.encode("utf-16-le", "surrogatepass").ljust(72, b"\0")
        return (self.kind.bytes_le + self.guid.bytes_le + numbers + name + self.tail).ljust(size, b"\0")


@dataclass(frozen=True)
class Gpt:
    """A whole disk. Sizes are in sectors, where not said otherwise."""

    sectors: int = 2048
    sector_size: int = 512
    entries: dict[int, Entry] = field(default_factory=lambda: {3: Entry(100, 199, "USR-A", 0x0101 << 48)})
    count: int = 128
    entry_size: int = 128
    header_size: int = 92
    padding: int = 0
    header_tail: bytes = b""
    backup_tail: bytes | None = None
    """What follows the backup header, where that is not the same."""
    reserved: int = 0
    revision: int = 0x10000
    mbr_records: bytes = bytes.fromhex("00000200eeffffff01000000ffffffff").ljust(64, b"\0")
    boot_code: bytes = b""
    backup_lba: int | None = None

    @property
    def array_sectors(self) -> int:
        return -(-self.count * self.entry_size // self.sector_size)

    @property
    def backup(self) -> int:
        return self.sectors - 1 if self.backup_lba is None else self.backup_lba

    @property
    def primary_entries(self) -> int:
        return 2 + self.padding

    @property
    def backup_entries(self) -> int:
        return self.backup - self.array_sectors

    def array(self) -> bytes:
        unused = bytes(self.entry_size)
        return b"".join(
            self.entries[n].encode(self.entry_size) if n in self.entries else unused for n in range(1, self.count + 1)
        )

    def header(self, *, primary: bool) -> bytes:
        here, there = (1, self.backup) if primary else (self.backup, 1)
        entries = self.primary_entries if primary else self.backup_entries
        first, last = 2 + self.padding + self.array_sectors, self.backup_entries - 1
        tail = self.header_tail if primary or self.backup_tail is None else self.backup_tail

        def pack(crc: int) -> bytes:
            numbers = (self.revision, self.header_size, crc, self.reserved, here, there, first, last)
            array = (entries, self.count, self.entry_size, zlib.crc32(self.array()))
            fields = struct.pack("<8s4L4Q", b"EFI PART", *numbers) + DISK.bytes_le + struct.pack("<Q3L", *array)
            return (fields + tail).ljust(self.sector_size, b"\0")

        return pack(zlib.crc32(pack(0)[: self.header_size]))

    def mbr(self) -> bytes:
        return self.boot_code.ljust(446, b"\0") + self.mbr_records + b"\x55\xaa"

    def image(self) -> bytearray:
        """All bytes of the disk. Sectors that belong to nothing hold a pattern."""
        size = self.sector_size
        image = bytearray((b"slotboot" * (size // 8)) * self.sectors)
        end = self.primary_entries + self.array_sectors
        image[: end * size] = bytes(end * size)
        image[: len(self.mbr())] = self.mbr()
        image[size : 2 * size] = self.header(primary=True)
        array = self.array().ljust(self.array_sectors * size, b"\0")
        for lba in (self.primary_entries, self.backup_entries):
            image[lba * size : lba * size + len(array)] = array
        image[self.backup * size : (self.backup + 1) * size] = self.header(primary=False)
        return image


def zeroed(image: bytearray, sector: int, count: int = 1, size: int = 512) -> bytearray:
    """The image with sectors wiped; negative ones count from the end."""
    copy = bytearray(image)
    at = sector * size if sector >= 0 else len(copy) + sector * size
    copy[at : at + count * size] = bytes(count * size)
    return copy


_FIELDS = {
    "revision": (8, "<L"),
    "my_lba": (24, "<Q"),
    "alternate_lba": (32, "<Q"),
    "last_usable_lba": (48, "<Q"),
    "disk_guid": (56, "16s"),
    "entries_lba": (72, "<Q"),
    "entry_count": (80, "<L"),
    "entries_crc32": (88, "<L"),
}


def resigned(image: bytearray, sector: int, field: str, value: int | bytes) -> bytearray:
    """The image (512-byte sectors) with one field of the header in ``sector`` changed, and its CRC made to fit again."""
    copy, at = bytearray(image), sector * 512
    offset, layout = _FIELDS[field]
    struct.pack_into(layout, copy, at + offset, value)
    struct.pack_into("<L", copy, at + 16, 0)
    struct.pack_into("<L", copy, at + 16, zlib.crc32(copy[at : at + 92]))
    return copy
