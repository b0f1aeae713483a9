"""Whether a slot is whole: all of it is what one and the same version has there, whatever was written in which order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.replay.crashes import torn_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qemu_tests.harness.disk.log import Write, WriteLog
    from qemu_tests.harness.disk.losses import Piece
    from qemu_tests.harness.disk.overlay import Readable


@dataclass(frozen=True)
class Version:
    """What a slot may hold: ``content`` from its first byte on, ``length`` bytes. What comes behind does not matter."""

    name: str
    content: Readable
    length: int


class SlotContent:
    """One slot, cut into the cells that no write divides. For each cell it is known which versions have these bytes there."""

    def __init__(
        self,
        offset: int,
        length: int,
        versions: Sequence[Version],
        base: Readable,
        log: WriteLog,
        writes: Iterable[Write],
    ) -> None:
        """``offset`` and ``length`` in bytes of the disk; ``base`` is the disk before the first of ``writes``."""
        self._offset, self._versions, self._log = offset, versions, log
        edges = {0, length, *(version.length for version in versions)}
        for write in writes:
            parts = [0, write.length, *(start + count for start, count in torn_parts(write))]
            edges.update(write.offset + part - offset for part in parts)
        self._edges = sorted(edge for edge in edges if 0 <= edge <= length)
        self._matches: dict[tuple[int, int], frozenset[int]] = {}
        self._durable = [
            self._compare(cell, base.read(offset + first, end - first)) for cell, (first, end) in self._cells()
        ]
        self._missing = [sum(version not in cell for cell in self._durable) for version in range(len(versions))]

    def _cells(self) -> Iterable[tuple[int, tuple[int, int]]]:
        return enumerate(zip(self._edges, self._edges[1:], strict=False))

    def _compare(self, cell: int, data: bytes) -> frozenset[int]:
        first, end = self._edges[cell], self._edges[cell + 1]
        return frozenset(
            number
            for number, version in enumerate(self._versions)
            if first >= version.length or version.content.read(first, end - first) == data
        )

    def _covered(self, piece: Piece) -> range:
        """The cells that a piece covers; they are never covered in part."""
        start = piece.write.offset + piece.start - self._offset
        first = bisect_left(self._edges, max(start, 0))
        return range(first, bisect_right(self._edges, start + piece.length) - 1)

    def _matching(self, write: Write, cell: int) -> frozenset[int]:
        key = (write.number, cell)
        if key not in self._matches:
            first, end = self._edges[cell], self._edges[cell + 1]
            data = self._log.data(write, first + self._offset - write.offset, end - first)
            self._matches[key] = self._compare(cell, data)
        return self._matches[key]

    def _changes(self, pieces: Iterable[Piece]) -> Mapping[int, frozenset[int]]:
        return {cell: self._matching(piece.write, cell) for piece in pieces for cell in self._covered(piece)}

    def whole(self, pieces: Iterable[Piece]) -> str:
        """The name of the version that is there when ``pieces`` are written over what is durable; empty for none."""
        changes = self._changes(pieces)
        for number, version in enumerate(self._versions):
            missing = self._missing[number]
            for cell, now in changes.items():
                missing += (number not in now) - (number not in self._durable[cell])
            if not missing:
                return version.name
        return ""

    def apply(self, pieces: Iterable[Piece]) -> None:
        """Make ``pieces`` durable."""
        for cell, now in self._changes(pieces).items():
            for number in range(len(self._versions)):
                self._missing[number] += (number not in now) - (number not in self._durable[cell])
            self._durable[cell] = now
