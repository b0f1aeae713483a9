"""Where an operation may write, worked out from the bytes of a disk with struct and zlib alone.

The rule of ``gptlib.write.placement`` once more, in other words and without a line of its code: what both say is true.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Entries = dict[int, bytes]
"""Number of a used entry -> its 128 bytes."""

_USED = (b"EFI PART", b"CHROMEOS")
_IGNORED = b"IGNOREME"
_LARGEST = 16 << 20


class Header(NamedTuple):
    """A header that is complete and stands where it says."""

    lba: int
    alternate: int
    first: int
    last: int
    entries: int
    number: int
    entry_size: int
    crc: int

    def array(self, size: int) -> range:
        return range(self.entries, self.entries + -(-self.number * self.entry_size // size))


def header_at(image: bytes, lba: int, size: int) -> Header | None:
    sector = image[lba * size : (lba + 1) * size]
    if lba < 1 or len(sector) < size or sector[:8] not in _USED:
        return None
    revision, length, crc = struct.unpack_from("<3L", sector, 8)
    here, there, first, last = struct.unpack_from("<4Q", sector, 24)
    entries, count, entry_size, array_crc = struct.unpack_from("<Q3L", sector, 72)
    if revision >> 16 != 1 or not 92 <= length <= size or here != lba:
        return None
    if zlib.crc32(sector[:16] + bytes(4) + sector[20:length]) != crc:
        return None
    if entry_size < 128 or entry_size & entry_size - 1 or not 0 < count * entry_size <= _LARGEST:
        return None
    header = Header(lba, there, first, last, entries, count, entry_size, array_crc)
    array = header.array(size)
    if array.start < 2 or array.stop > len(image) // size or lba in array or not 2 < first <= last + 1:
        return None
    return header


def array_of(image: bytes, header: Header, lba: int, size: int) -> bytes | None:
    """The array that stands at ``lba``, where it is the one that the header means."""
    at, length = lba * size, header.number * header.entry_size
    data = image[at : at + length] if at >= 0 else b""
    return data if len(data) == length and zlib.crc32(data) == header.crc else None


class Copy(NamedTuple):
    """What is valid of a copy; ``lba`` is where its header is or belongs."""

    lba: int
    header: Header | None
    array: bytes | None
    ignored: bool


class Layout(NamedTuple):
    """What every reader makes of a disk: both copies, the header that counts, and the used entries."""

    primary: Copy
    backup: Copy
    header: Header
    array: bytes
    entries: Entries
    backup_lba: int


def _copy(image: bytes, lba: int, size: int) -> Copy:
    header = header_at(image, lba, size)
    array = array_of(image, header, header.entries, size) if header else None
    return Copy(lba, header, array, image[lba * size : lba * size + 8] == _IGNORED)


def copies(image: bytes, size: int) -> tuple[Copy, Copy]:
    last = max(len(image) // size - 1, 1)
    primary = _copy(image, 1, size)
    named = primary.header.alternate if primary.header else last
    backup = _copy(image, named if 1 < named <= last else last, size)
    if backup.array is None and not backup.ignored and backup.lba != last:
        at_end = _copy(image, last, size)
        if at_end.array is not None:
            return primary, at_end
    return primary, backup


def layout_of(image: bytes, size: int) -> Layout | None:
    """None where no reader finds a table."""
    primary, backup = copies(image, size)
    for one, other in ((primary, backup), (backup, primary)):
        if one.header is not None and one.array is not None:
            return _layout(primary, backup, one, other, one.array)
    for one, other in ((primary, backup), (backup, primary)):
        if one.header is not None and not other.ignored:
            for lba in usual_places(one.header, size):
                array = array_of(image, one.header, lba, size)
                if array is not None:
                    return _layout(primary, backup, one, other, array)
    return None


def _layout(primary: Copy, backup: Copy, one: Copy, other: Copy, array: bytes) -> Layout:
    header = one.header
    assert header is not None
    size = header.entry_size
    stop = -(-len(array.rstrip(b"\0")) // size)
    used = {n + 1: array[n * size : n * size + 128] for n in range(stop) if any(array[n * size : n * size + 16])}
    lba = backup.lba if one is backup or other.array is not None else header.alternate
    return Layout(primary, backup, header, array, used, lba)


def usual_places(header: Header, size: int) -> tuple[int, int]:
    """Where the array of the other copy is put by every program that makes tables."""
    length = len(header.array(size))
    if header.lba == 1:
        return header.alternate - length, header.last + 1
    return 2, header.first - length


def extents(entries: Entries) -> list[tuple[int, int]]:
    """First and last sector of each partition. One that ends before it starts is both of its ends."""
    found = []
    for entry in entries.values():
        first, last = struct.unpack_from("<2Q", entry, 32)
        found += [(first, last)] if first <= last else [(first, first), (last, last)]
    return found


@dataclass(frozen=True)
class Ground:
    """What only the maker of a disk knows: which sectors are nobody's table, and whether a signature ends the disk."""

    foreign: Callable[[bytes], bool]
    signature: bool = False


class Rule:
    """Where the next automatic write may go on a disk.

    ``forced`` is for ``repair --force``, ``unmarked`` for the way into ChromeOS's modes and back: a copy marked IGNOREME is
    then like a lost one.
    """

    def __init__(
        self, image: bytes, size: int, ground: Ground, *, forced: bool = False, unmarked: bool = False
    ) -> None:
        self.image, self.size, self.ground = image, size, ground
        self.forced, self.unmarked = forced, unmarked
        self.total = len(image) // size
        self.layout = layout_of(image, size)
        self.alternatives = [*self._primary(), *self._backup()] if self.layout else []
        """Sets of sectors that may be written."""

    def sectors(self) -> set[int]:
        return set().union(*self.alternatives)

    def _foreign(self, sectors: Iterable[int]) -> bool:
        size = self.size
        return any(self.ground.foreign(self.image[lba * size : (lba + 1) * size]) for lba in sectors)

    def _unused(self, array: range) -> Iterator[int]:
        """Sectors of an array that hold no entry in use, and not what they are to hold."""
        assert self.layout is not None
        size, wanted = self.size, self.layout.array.ljust(len(array) * self.size, b"\0")
        entry = self.layout.header.entry_size
        used = {at for n in self.layout.entries for at in range((n - 1) * entry // size, -(-n * entry // size))}
        for at, lba in enumerate(array):
            if at not in used and self.image[lba * size : (lba + 1) * size] != wanted[at * size : (at + 1) * size]:
                yield lba

    def _primary(self) -> Iterator[set[int]]:
        assert self.layout is not None
        copy, header = self.layout.primary, self.layout.header
        length = len(header.array(self.size))
        if copy.header is not None:
            yield from self._named(copy)
        elif self.unmarked or not copy.ignored:
            yield from self._guessed(1, usual_places(header, self.size), certain=header.first == 2 + length)

    def _backup(self) -> Iterator[set[int]]:
        assert self.layout is not None
        copy, header, lba = self.layout.backup, self.layout.header, self.layout.backup_lba
        length, last = len(header.array(self.size)), self.total - 1
        if copy.header is not None:
            yield from self._named(copy)
        elif (self.unmarked or not copy.ignored) and 1 < lba <= last:
            exact = header.last + 1 + length == lba
            signed = exact and lba == last and self.ground.signature
            if not signed or self.forced:
                yield from self._guessed(lba, usual_places(header, self.size), certain=exact)
        if copy.ignored or last - length < 2:
            return
        if lba < last and (self.forced or not self.ground.signature):
            yield set(range(last - length, last + 1))
        if lba > last:
            yield from self._guessed(last, (last - length,), certain=False)

    def _named(self, copy: Copy) -> Iterator[set[int]]:
        assert copy.header is not None
        assert self.layout is not None
        yield {copy.lba}
        own = copy.header.array(self.size)
        array = range(own.start, own.start + len(self.layout.header.array(self.size)))
        # What a table with more entries than this header names would take as well is a guess.
        looked_at = {lba for lba in array if lba not in own}
        if copy.array is None:
            looked_at.update(self._unused(array))
        if self.forced or not self._foreign(looked_at):
            yield set(array)

    def _guessed(self, header: int, places: Sequence[int], *, certain: bool) -> Iterator[set[int]]:
        assert self.layout is not None
        length = len(self.layout.header.array(self.size))
        for lba in places:
            array = range(lba, lba + length)
            looked_at = self._unused(array) if certain else (header, *array)
            if lba >= 2 and array.stop <= self.total and (self.forced or not self._foreign(looked_at)):
                yield {header, *array}


class Write(NamedTuple):
    """Bytes that were written, whole sectors of 512 bytes at least."""

    offset: int
    data: bytes


def changed_sectors(image: bytes, writes: Iterable[Write], size: int) -> set[int]:
    """Sectors that hold something else for however short a time."""
    found = set()
    for offset, data in writes:
        assert offset % size == 0
        for at in range(0, len(data), size):
            lba = (offset + at) // size
            if data[at : at + size] != image[lba * size : lba * size + len(data[at : at + size])]:
                found.add(lba)
    return found


def inside(sectors: Iterable[int], entries: Entries) -> list[int]:
    """Those of the sectors that lie in a partition."""
    places = extents(entries)
    return sorted(lba for lba in sectors if any(first <= lba <= last for first, last in places))


def stale_headers(image: bytes, size: int) -> set[int]:
    """Sectors with a complete header of a table for the other sector size: a writer of a new MBR may wipe them."""
    other = 4096 if size == 512 else 512
    last = len(image) // other - 1
    return {lba * other // size for lba in (1, last) if _is_sealed(image, lba, other)}


def _is_sealed(image: bytes, lba: int, size: int) -> bool:
    """Whether a header has the right CRC and stands where it says, plausible or not."""
    sector = image[lba * size : (lba + 1) * size]
    if len(sector) < size or not sector.startswith(b"EFI PART"):
        return False
    length, crc, _, here = struct.unpack_from("<3LQ", sector, 12)
    fits = zlib.crc32(sector[:16] + bytes(4) + sector[20:length]) == crc
    return bool(92 <= length <= size and here == lba and fits)
