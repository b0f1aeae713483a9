"""Where in an old image the content of a new one is: what a segment of a delta is best compressed against.

Blocks of 4 KiB are compared by hash. File systems without compression put files at multiples of that, so a file that moved is
found wherever it is now.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from update_agent.payload.frames import read_exactly
from update_agent.payload.index import DICTIONARY, SMALLEST_DICTIONARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.payload.frames import Readable

BLOCK: Final = 4096
MOST_PLACES: Final = 1 << 18
"""Blocks of which the place is kept, 45 MiB: each one of 1 GiB, of a larger image a half, a quarter, ... of them."""
_WINDOW: Final = DICTIONARY // BLOCK
_MOST_CANDIDATES: Final = 4
"""Places that are looked at for a segment: content that is in the image several times leads to more than one."""
_CHUNK: Final = 1 << 20
_ZEROS: Final = bytes(BLOCK)


@dataclass(frozen=True)
class Place:
    """A dictionary for a segment begins at the byte ``start`` of the old image.

    ``expected``: it is where the caller thought, or as near as the image allows. ``complete``: it has all blocks of the segment.
    """

    start: int
    expected: bool
    complete: bool


class OldBlocks:
    """The blocks of an image, read once. Takes 2 MiB of memory for each GiB of the image, and the places.

    ``size`` in bytes and ``sha256`` are those of the image.
    """

    def __init__(self, image: Readable, most_places: int = MOST_PLACES) -> None:
        """Read the image to its end. Raises OSError."""
        digest = hashlib.sha256()
        self.size = 0
        self._hashes = array("Q")
        self._places: dict[int, int] = {}
        self._mask, self._most = 0, most_places
        while data := read_exactly(image, _CHUNK):
            digest.update(data)
            self.size += len(data)
            for found in _hashes(data):
                self._remember(found)
        self.sha256 = digest.hexdigest()

    def _remember(self, found: int) -> None:
        if found and not found & self._mask:
            self._places.setdefault(found, len(self._hashes))
            while len(self._places) > self._most:
                self._mask = self._mask << 1 | 1
                self._places = {key: place for key, place in self._places.items() if not key & self._mask}
        self._hashes.append(found)

    def dictionary_for(self, segment: bytes, expected: int) -> Place | None:
        """Where the dictionary has most of the segment's blocks; at the byte ``expected`` where no other place is better.

        None: the image has less than a dictionary needs.
        """
        if self.size < SMALLEST_DICTIONARY:
            return None
        wanted = set(_hashes(segment)) - {0}
        starts = [self._allowed(expected // BLOCK)]
        places = sorted(self._places[key] for key in wanted if key in self._places)
        while places and len(starts) <= _MOST_CANDIDATES:
            first, last = _densest(places)
            # In the middle, for what is before and behind the blocks that are known.
            starts.append(self._allowed((first + last + 1 - _WINDOW) // 2))
            places = [place for place in places if not first <= place <= last]
        counts = [len(wanted.intersection(self._hashes[start : start + _WINDOW])) for start in starts]
        best = counts.index(max(counts))
        return Place(starts[best] * BLOCK, best == 0, counts[best] == len(wanted))

    def _allowed(self, start: int) -> int:
        """The nearest block at which a whole dictionary can begin."""
        last = -(-(self.size - DICTIONARY) // BLOCK)
        return max(0, min(start, last))


def _densest(places: list[int]) -> tuple[int, int]:
    """The first and the last of those that stand within one dictionary, of which there are the most."""
    most, found, begin = 0, (0, 0), 0
    for end, place in enumerate(places):
        while place - places[begin] >= _WINDOW:
            begin += 1
        if end - begin + 1 > most:
            most, found = end - begin + 1, (places[begin], place)
    return found


def _hashes(data: bytes) -> Iterator[int]:
    """Of each block one that is not 0; 0 of a block of zeros, which is everywhere."""
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        if block == _ZEROS:
            yield 0
        else:
            yield int.from_bytes(hashlib.blake2b(block, digest_size=8).digest(), "little") or 1
