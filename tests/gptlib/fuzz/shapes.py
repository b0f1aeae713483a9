"""Disks of odd shapes: arrays anywhere, partitions in reserved places, foreign data in every gap, lost and moved copies.

Put together from UEFI's tables 5.5 and 5.6 with struct and zlib alone, like ``handmade``, but for any place of everything.
"""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from tests.gptlib.handmade import DISK, USR, Entry
from tests.gptlib.oracle import Ground

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIGNATURE = b"EFI PART"


@cache
def foreign_sectors(size: int) -> tuple[bytes, ...]:
    """Sectors that are no part of any table: code, text, erased flash, and sparse ones with a few bytes."""
    chance = random.Random(size)
    found = [chance.randbytes(size) for _ in range(160)]
    found += [b"\xff" * size, b"\xe5" * size, (b"U-Boot SPL 2026.10 (rockchip) " * size)[:size]]
    for _ in range(30):
        sector = bytearray(size)
        at = chance.randrange(size - 24)
        sector[at : at + 24] = chance.randbytes(24)
        found.append(bytes(sector))
    return tuple(found)


@cache
def _is_foreign(size: int) -> frozenset[bytes]:
    return frozenset(foreign_sectors(size))


def ground(size: int, *, signature: bool = False) -> Ground:
    """What an oracle must know about disks made of these sectors."""
    known = _is_foreign(size)
    return Ground(lambda sector: sector in known, signature)


@dataclass
class Shape:
    """A disk; places and sizes in sectors."""

    size: int = 512
    sectors: int = 600
    count: int = 128
    entry_size: int = 128
    primary_entries: int = 2
    backup: int = 599
    backup_entries: int = 567
    first: int = 34
    last: int = 566
    entries: dict[int, Entry] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    zeroed: set[int] = field(default_factory=set)
    raw: dict[int, bytes] = field(default_factory=dict)
    """Byte offset -> bytes put over everything at the end."""
    mbr: str = "protective"
    ending: tuple[int, bytes] = (0, b"")
    """A signature, and where it stands: bytes before the end."""
    cut_off: int = 0
    """Sectors that are missing at the end."""

    @property
    def length(self) -> int:
        return -(-self.count * self.entry_size // self.size)

    def array(self) -> bytes:
        return b"".join(
            self.entries[n].encode(self.entry_size) if n in self.entries else bytes(self.entry_size)
            for n in range(1, self.count + 1)
        )

    def header(self, crc_of_array: int, *, primary: bool) -> bytes:
        here, there = (1, self.backup) if primary else (self.backup, 1)
        lba = self.primary_entries if primary else self.backup_entries

        def pack(crc: int) -> bytes:
            fields = struct.pack("<8s4L4Q", SIGNATURE, 0x10000, 92, crc, 0, here, there, self.first, self.last)
            return fields + DISK.bytes_le + struct.pack("<Q3L", lba, self.count, self.entry_size, crc_of_array)

        return pack(zlib.crc32(pack(0))).ljust(self.size, b"\0")

    def own(self) -> Iterator[int]:
        """The sectors of the table."""
        yield from (0, 1, self.backup)
        yield from range(self.primary_entries, self.primary_entries + self.length)
        yield from range(self.backup_entries, self.backup_entries + self.length)

    def image(self) -> bytes:
        size, image = self.size, bytearray(self.sectors * self.size)

        def put(lba: int, data: bytes) -> None:
            image[lba * size : lba * size + len(data)] = data

        pool = foreign_sectors(size)
        for lba in self.foreign - set(self.own()):
            put(lba, pool[lba % len(pool)])
        array = self.array()
        crc = zlib.crc32(array)
        put(self.backup_entries, array)
        put(self.primary_entries, array)
        put(self.backup, self.header(crc, primary=False))
        put(1, self.header(crc, primary=True))
        for lba in self.foreign & set(self.own()) - {0}:
            put(lba, pool[lba % len(pool)])
        for lba in self.zeroed:
            put(lba, bytes(size))
        for at, data in self.raw.items():
            image[at : at + len(data)] = data
        image[440:512] = _MBRS[self.mbr](self.sectors)
        del image[(self.sectors - self.cut_off) * size :]
        return bytes(image)

    def is_signed(self, image: bytes) -> bool:
        """Whether the signature is still at the end."""
        at, data = self.ending
        return bool(data) and image[at:].startswith(data)


def _record(kind: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3sB3sLL", 0, b"\0\2\0", kind, b"\xff\xff\xff", first, sectors)


_MBRS: dict[str, Callable[[int], bytes]] = {
    "protective": lambda sectors: bytes(6) + _record(0xEE, 1, sectors - 1).ljust(64, b"\0") + b"\x55\xaa",
    "hybrid": lambda sectors: (
        bytes(6) + (_record(0x0C, 64, 9) + _record(0xEE, 1, sectors - 1)).ljust(64, b"\0") + b"\x55\xaa"
    ),
    "absent": lambda _: bytes(72),
}
# Signatures that fit into the last sectors of any disk, at byte offsets from its end.
ENDINGS = (
    (-512, b"conectix\0\0\0\2\0\1\0\0"),
    (-512, b"$XIDE$"),
    (-1024, b"Intel Raid ISM Cfg Sig. 1.3.00"),
    (-4096 + 60, bytes.fromhex("8374026d")),
    (-63 * 512, b"Promise Technology, Inc."),
)


def shape(chance: random.Random) -> Shape:
    """A disk of a random shape. Each oddity is likely enough to meet the others."""
    size = 4096 if chance.random() < 0.1 else 512
    count, entry_size = chance.choice(
        ((128, 128),) * 5 + ((8, 128), (55, 128), (56, 128), (256, 128), (128, 256), (32, 512))
    )
    length = -(-count * entry_size // size)
    sectors = 4 * length + chance.randint(120, 300)
    made = Shape(size, sectors, count, entry_size)
    _place(made, chance)
    _partition(made, chance)
    _fill(made, chance)
    _damage(made, chance)
    made.mbr = chance.choice(("protective",) * 6 + ("hybrid", "absent"))
    return made


def _place(made: Shape, chance: random.Random) -> None:
    length, end = made.length, made.sectors - 1
    if chance.random() < 0.3:
        end -= chance.choice((1, 8, 40, chance.randint(1, 60)))
    made.backup, made.backup_entries = end, end - length
    made.primary_entries = 2
    made.first, made.last = 2 + length, made.backup_entries - 1
    kind = chance.random()
    if kind < 0.15:
        made.primary_entries = 2 + chance.randint(1, 40)
        made.first = made.primary_entries + length
    elif kind < 0.3:
        made.primary_entries = chance.randint(2, made.sectors // 2)
        made.first = chance.randint(3, made.sectors // 3)
    elif kind < 0.5:
        made.first = chance.randint(made.first, made.sectors // 3)
    kind = chance.random()
    if kind < 0.04:
        # Both headers name one array, or two that stand on each other.
        made.backup_entries = made.primary_entries + chance.choice((0, 0, chance.randrange(length)))
    elif kind < 0.1:
        made.last -= chance.randint(1, 30)
        made.backup_entries = made.last + 1
    elif kind < 0.2:
        made.backup_entries = chance.randint(made.sectors // 2, end - length)
    elif kind < 0.3:
        made.last -= chance.randint(0, 40)


def _partition(made: Shape, chance: random.Random) -> None:
    cuts = sorted(chance.sample(range(made.first, made.last + 1), 2 * chance.randint(0, 4)))
    numbers = chance.sample(range(1, made.count + 1), len(cuts) // 2)
    if chance.random() < 0.85:
        numbers = list(range(1, len(cuts) // 2 + 1))
    places = list(zip(cuts[::2], cuts[1::2], strict=True))
    if places and chance.random() < 0.2:
        at = chance.randrange(len(places))
        first, last = places[at]
        reach = chance.choice(
            ((first, made.sectors - 1), (first, made.backup_entries), (2, last), (0, last), (last, first))
        )
        places[at] = reach
    for number, (first, last) in zip(numbers, places, strict=True):
        bits = chance.choice((0, 0x0101, 0x0031, 0x0132, 0x0002)) << 48
        kind = USR if chance.random() < 0.9 else DISK
        guid = chance.randbytes(16)
        made.entries[number] = Entry(first, last, f"P{number}", bits, kind, type(DISK)(bytes=guid))


def _fill(made: Shape, chance: random.Random) -> None:
    """Foreign data in all gaps, in some, or in none; and in the parts of the arrays that are not used."""
    everywhere = set(range(1, made.sectors))
    kind = chance.random()
    if kind < 0.4:
        made.foreign = everywhere - set(made.own())
    elif kind < 0.8:
        for _ in range(chance.randint(1, 5)):
            first = chance.choice(
                (chance.randrange(1, made.sectors), chance.randint(2, 40), made.sectors - chance.randint(1, 40))
            )
            made.foreign |= set(range(first, min(first + chance.randint(1, 60), made.sectors)))
        made.foreign -= set(made.own())
    for partition in made.entries.values():
        inside = range(partition.first, partition.last + 1)
        made.foreign |= {lba for lba in inside if lba < made.sectors} - set(made.own())
    for array in (made.primary_entries, made.backup_entries):
        if chance.random() < 0.15:
            first = chance.randrange(made.length)
            made.foreign |= set(range(array + first, array + min(first + chance.randint(1, 20), made.length)))
    if (made.backup != made.sectors - 1 and chance.random() < 0.5) or chance.random() < 0.05:
        at, data = chance.choice(ENDINGS)
        made.raw[made.sectors * made.size + at] = data
        made.ending = at, data
    if chance.random() < 0.08 and made.size == 512:
        # Left behind by a table for larger sectors, or the words that every program with a GPT has inside.
        stale = Shape(4096, made.sectors // 8, backup=made.sectors // 8 - 1).header(0, primary=True)[:512]
        made.raw[4096] = chance.choice((stale, SIGNATURE + chance.randbytes(504)))


def _damage(made: Shape, chance: random.Random) -> None:
    """The end is missing, or a copy is lost in whole or in part: zeroed, or with foreign data in its place."""
    if chance.random() < 0.08:
        made.cut_off = chance.choice((1, 2, chance.randint(1, made.sectors // 3)))
    array_1 = set(range(made.primary_entries, made.primary_entries + made.length))
    array_2 = set(range(made.backup_entries, made.backup_entries + made.length))
    for parts in (({1}, array_1), ({made.backup}, array_2)):
        if chance.random() < 0.5:
            continue
        lost = set().union(*chance.choice((parts, parts[:1], parts[:1], parts[1:])))
        kind = chance.random()
        if kind < 0.5:
            made.zeroed |= lost
        elif kind < 0.8:
            made.foreign |= lost
        elif kind < 0.9:
            made.raw[min(lost) * made.size + chance.randrange(92)] = chance.randbytes(3)
        else:
            made.raw[(1 if parts[0] == {1} else made.backup) * made.size] = chance.choice((b"IGNOREME", b"CHROMEOS"))
        if chance.random() < 0.8:
            return
