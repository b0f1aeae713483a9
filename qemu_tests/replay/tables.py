"""The two ends of a disk, where its tables are, in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from qemu_tests.harness.disk.log import WriteLog
    from qemu_tests.harness.disk.losses import Piece
    from qemu_tests.harness.disk.overlay import Readable

HEAD, TAIL = 34 * 512, 33 * 512
"""Bytes of the MBR and the primary table, and of the backup, on a disk with sectors of 512 bytes and 128 entries."""


class TableEnds:
    """The bytes of both ends, as far as they are durable."""

    def __init__(self, base: Readable, size: int, log: WriteLog) -> None:
        self._size, self._log = size, log
        self._ends = [(0, bytearray(base.read(0, HEAD))), (size - TAIL, bytearray(base.read(size - TAIL, TAIL)))]

    def state(self, pieces: Iterable[Piece]) -> bytes:
        """Both ends, one behind the other, with ``pieces`` over what is durable."""
        ends = [(at, bytearray(data)) for at, data in self._ends]
        self._write(ends, pieces)
        return bytes(ends[0][1] + ends[1][1])

    def apply(self, pieces: Iterable[Piece]) -> None:
        """Make ``pieces`` durable."""
        self._write(self._ends, pieces)

    def _write(self, ends: list[tuple[int, bytearray]], pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            start = piece.write.offset + piece.start
            for at, data in ends:
                first, end = max(start, at), min(start + piece.length, at + len(data))
                if first < end:
                    data[first - at : end - at] = self._log.data(piece.write, first - piece.write.offset, end - first)


def write_image(state: bytes, size: int, path: Path) -> None:
    """A sparse image of a disk of ``size`` bytes that has nothing but these ends."""
    with path.open("wb") as file:
        file.truncate(size)
        file.write(state[:HEAD])
        file.seek(size - TAIL)
        file.write(state[HEAD:])
