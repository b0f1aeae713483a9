"""What happened to a disk, from its first contents on, and what was on its medium at any moment of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.log import Flush, PowerOff, Write
from qemu_tests.harness.disk.losses import whole
from qemu_tests.harness.disk.overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from qemu_tests.harness.disk.log import Entry, WriteLog
    from qemu_tests.harness.disk.losses import Piece
    from qemu_tests.harness.disk.overlay import Readable

_BLOCK = 1 << 20


class Medium:
    """What of the writes of a disk is on stable storage, entry by entry. Pure."""

    def __init__(self, disk: str) -> None:
        self._disk = disk
        self._epoch: list[Write] = []

    @property
    def pending(self) -> tuple[Write, ...]:
        """The writes since the last flush, those with FUA among them."""
        return tuple(self._epoch)

    def after(self, entry: Entry) -> list[Piece]:
        """What this entry puts on the medium, in the order in which it is to be written there."""
        if isinstance(entry, Write) and entry.disk == self._disk:
            self._epoch.append(entry)
            return [whole(entry)] if entry.durable else []
        if not isinstance(entry, Flush | PowerOff) or entry.disk != self._disk:
            return []
        pieces = list(entry.kept) if isinstance(entry, PowerOff) else [whole(write) for write in self._epoch]
        self._epoch.clear()
        return pieces


@dataclass(frozen=True)
class Recording:
    """What happened to a disk: ``base`` is what it held, ``entries`` what came then, with their bytes in ``log``.

    ``entries`` are those of all disks that share the log; ``name`` says which of them are this one's.
    """

    name: str
    size: int
    base: Readable
    log: WriteLog
    entries: tuple[Entry, ...]

    def part(self, first: int, end: int | None, path: Path) -> Recording:
        """What happened from the entry with the number ``first`` on, to the one before ``end``; None is to the last one.

        Its base is what was on the medium then, kept in ``path``; what was written and not flushed comes first in its entries.
        Raises DiskFolderError, OSError.
        """
        base, medium = Overlay(self.base, self.size, path), Medium(self.name)
        for entry in self._until(first):
            for piece in medium.after(entry):
                base.write(*self._bytes(piece))
        chosen = [entry for entry in self.entries if entry.number >= first and (end is None or entry.number < end)]
        return Recording(self.name, self.size, base, self.log, (*medium.pending, *chosen))

    def rebuild(self, before: int, pieces: Iterable[Piece], target: Path) -> Path:
        """A sparse raw image of what was durable before the entry with this number, and ``pieces`` over it. Raises OSError."""
        medium, zeros = Medium(self.name), bytes(_BLOCK)
        with target.open("wb") as file:
            file.truncate(self.size)
            for offset in range(0, self.size, _BLOCK):
                data = self.base.read(offset, min(_BLOCK, self.size - offset))
                if data != zeros[: len(data)]:
                    file.seek(offset)
                    file.write(data)
            durable = (piece for entry in self._until(before) for piece in medium.after(entry))
            for part in (durable, pieces):
                for piece in part:
                    offset, data = self._bytes(piece)
                    file.seek(offset)
                    file.write(data)
        return target

    def _until(self, number: int) -> Iterable[Entry]:
        return (entry for entry in self.entries if entry.number < number)

    def _bytes(self, piece: Piece) -> tuple[int, bytes]:
        return piece.write.offset + piece.start, self.log.data(piece.write, piece.start, piece.length)
