"""A corpus of small disk images, and ways to damage them."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_FIELDS = "<8s4L4Q16sQ3L"
_INTERESTING = (
    *(0, 1, 2, 3, 33, 34, 35, 91, 92, 93, 127, 128, 129, 255, 256, 511, 512, 513, 4095, 4096, 4097),
    *(1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
)
# Offset and size of the numbers of a header and of an entry.
_HEADER_NUMBERS = (
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 4),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 8),
    (72, 8),
    (80, 4),
    (84, 4),
    (88, 4),
)
_ENTRY_NUMBERS = ((0, 8), (16, 8), (32, 8), (40, 8), (48, 8), (56, 8))


class Image:
    """A disk image that is being damaged; it remembers where its headers and arrays were at first."""

    def __init__(self, data: bytes, sector_size: int) -> None:
        self.data, self.size = bytearray(data), sector_size
        self.headers = (sector_size, len(data) - sector_size)

    def get(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def put(self, offset: int, data: bytes) -> None:
        """Overwrite, never beyond the end of the image."""
        end = min(offset + len(data), len(self.data))
        if 0 <= offset < end:
            self.data[offset:end] = data[: end - offset]

    def header(self, at: int) -> tuple[int, int, int] | None:
        """Place of the entries in bytes, their number and size, where they are still plausible."""
        raw = self.get(at, 92)
        if len(raw) < 92:
            return None
        fields = struct.unpack(_FIELDS, raw)
        start, number, size = fields[10] * self.size, fields[11], fields[12]
        return (start, number, size) if number * size < 1 << 20 and 0 < start < len(self.data) and size else None

    def sign(self, at: int) -> None:
        """Make both CRCs of a header right again, so that the damage has to be found by other means."""
        entries = self.header(at)
        if entries is not None:
            start, number, size = entries
            self.put(at + 88, struct.pack("<L", zlib.crc32(self.get(start, number * size))))
        size = int.from_bytes(self.get(at + 12, 4), "little")
        raw = self.get(at, size if 92 <= size <= self.size else 92)
        if len(raw) >= 92:
            self.put(at + 16, struct.pack("<L", zlib.crc32(raw[:16] + bytes(4) + raw[20:])))


def mutate(image: Image, chance: random.Random) -> None:
    """Damage an image in one to four ways."""
    for _ in range(chance.randint(1, 4)):
        chance.choice(_MUTATIONS)(image, chance)


def _number(chance: random.Random, size: int) -> bytes:
    value = chance.choice((chance.choice(_INTERESTING), chance.getrandbits(64), chance.randint(0, 200)))
    return (value % (1 << 8 * size)).to_bytes(size, "little")


def _header_field(image: Image, chance: random.Random) -> None:
    at = chance.choice(image.headers)
    offset, size = chance.choice(_HEADER_NUMBERS)
    image.put(at + offset, _number(chance, size))
    if chance.random() < 0.8:
        image.sign(at)


def _entry_field(image: Image, chance: random.Random) -> None:
    for at in chance.sample(image.headers, chance.randint(1, 2)):
        place = image.header(at)
        if place is None:
            continue
        start, number, size = place
        offset, width = chance.choice(_ENTRY_NUMBERS)
        image.put(start + chance.randrange(min(number, 8) or 1) * size + offset, _number(chance, width))
        if chance.random() < 0.8:
            image.sign(at)


def _flip(image: Image, chance: random.Random) -> None:
    at = chance.choice((0, *image.headers, 2 * image.size)) + chance.randrange(image.size)
    if at < len(image.data):
        image.data[at] ^= 1 << chance.randrange(8)


def _zero(image: Image, chance: random.Random) -> None:
    sectors = len(image.data) // image.size
    if sectors:
        first = chance.choice((0, 1, 2, sectors - 1, chance.randrange(sectors)))
        image.put(first * image.size, bytes(image.size * chance.randint(1, 3)))


def _noise(image: Image, chance: random.Random) -> None:
    at = chance.choice((0, *image.headers)) + chance.randrange(image.size)
    image.put(at, chance.randbytes(chance.randint(1, 64)))


def _copy(image: Image, chance: random.Random) -> None:
    """A sector turns up in another place: stale copies, headers at the wrong end."""
    sectors = len(image.data) // image.size
    if sectors:
        source = chance.choice((1, 2, sectors - 1, chance.randrange(sectors)))
        target = chance.choice((0, 1, sectors - 1, chance.randrange(sectors)))
        image.put(target * image.size, image.get(source * image.size, image.size))


def _truncate(image: Image, chance: random.Random) -> None:
    keep = chance.choice((len(image.data) - chance.randint(1, 3 * image.size), chance.randrange(len(image.data) + 1)))
    del image.data[max(keep, 0) :]


def _grow(image: Image, chance: random.Random) -> None:
    image.data += bytes(chance.choice((1, image.size, 8 * image.size, chance.randrange(1 << 16))))


def _mark(image: Image, chance: random.Random) -> None:
    image.put(chance.choice(image.headers), chance.choice((b"IGNOREME", b"CHROMEOS", b"EFI PART", b"EFI PARTY")))


def _mbr(image: Image, chance: random.Random) -> None:
    image.put(446 + chance.randrange(66), chance.randbytes(chance.randint(1, 16)))


_MUTATIONS: tuple[Callable[[Image, random.Random], None], ...] = (
    *(_header_field,) * 5,
    *(_entry_field,) * 4,
    *(_zero,) * 2,
    *(_flip,) * 2,
    *(_noise, _copy, _truncate, _grow, _mark, _mbr),
)
