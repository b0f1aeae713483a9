"""The log of all writes and flushes of a machine's disks, in the order in which the disks got them."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.overlay import write_all

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.disk.losses import Piece


@dataclass(frozen=True, slots=True)
class Write:
    """``length`` bytes written at ``offset`` of a disk. ``at`` is where the log keeps them; ``number`` counts all entries.

    ``durable``: it was on stable storage when it was answered (FUA, or a medium without a cache), whatever was before it.
    """

    number: int
    disk: str
    offset: int
    length: int
    at: int
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Flush:
    """Everything that was written to the disk before is on stable storage."""

    number: int
    disk: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What happened between the writes of all disks: power on, reboot."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class PowerOff:
    """The power of a disk went off. Its medium then had what was durable, and ``kept`` of what was written since the last flush."""

    number: int
    disk: str
    text: str
    kept: tuple[Piece, ...]


Entry = Write | Flush | Mark | PowerOff


class WriteLog:
    """Entries in memory, their data in a file. Several disks of one machine may write to it at once."""

    def __init__(self, path: Path) -> None:
        """``path`` takes the data; it is made or emptied. Raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._fd)
        self._end = 0
        self._lock = threading.Lock()
        self.entries: list[Entry] = []

    def write(self, disk: str, offset: int, data: bytes | memoryview, *, durable: bool = False) -> Write:
        """Log a write. Raises OSError."""
        with self._lock:
            entry = Write(len(self.entries), disk, offset, len(data), self._end, durable)
            write_all(self._fd, self._end, data)
            self._end += len(data)
            self.entries.append(entry)
            return entry

    def flush(self, disk: str) -> None:
        """Log a flush."""
        with self._lock:
            self.entries.append(Flush(len(self.entries), disk))

    def mark(self, text: str) -> None:
        """Log what happened."""
        with self._lock:
            self.entries.append(Mark(len(self.entries), text))

    def power_off(self, disk: str, text: str, kept: tuple[Piece, ...]) -> None:
        """Log the end of a session."""
        with self._lock:
            self.entries.append(PowerOff(len(self.entries), disk, text, kept))

    def data(self, write: Write, start: int = 0, length: int | None = None) -> bytes:
        """The bytes of a write, or ``length`` of them from ``start`` on. Raises OSError."""
        return os.pread(self._fd, write.length - start if length is None else length, write.at + start)
