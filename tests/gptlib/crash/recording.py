"""What the real code writes and flushes, as the system calls that it makes."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

SECTOR = 512


@dataclass(frozen=True)
class Sector:
    """One sector that was written: what a disk writes whole or not at all."""

    lba: int
    data: bytes


class Recording:
    """Epochs of written sectors: everything in one may reach the disk in any order, or not; a flush ends it."""

    def __init__(self) -> None:
        self.epochs: list[list[Sector]] = []
        self._pending: list[Sector] = []

    def write(self, offset: int, data: bytes) -> None:
        assert offset % SECTOR == 0
        assert len(data) % SECTOR == 0
        for at in range(0, len(data), SECTOR):
            self._pending.append(Sector((offset + at) // SECTOR, data[at : at + SECTOR]))

    def flush(self) -> None:
        if self._pending:
            self.epochs.append(self._pending)
            self._pending = []

    def finish(self) -> list[list[Sector]]:
        """The epochs; what was never flushed is a last one, which may be lost in any part."""
        self.flush()
        return self.epochs


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record every pwrite and fsync of this process, and carry them out."""
    recording = Recording()
    pwrite, fsync = os.pwrite, os.fsync

    def recording_pwrite(fd: int, data: ReadableBuffer, offset: int, /) -> int:
        recording.write(offset, bytes(data))
        return pwrite(fd, data, offset)

    def recording_fsync(fd: int) -> None:
        recording.flush()
        fsync(fd)

    def unexpected(*_: object) -> None:
        raise AssertionError("the disk is written in another way than the explorer records")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", recording_pwrite)
        patch.setattr(os, "fsync", recording_fsync)
        for name in ("write", "writev", "pwritev", "fdatasync", "sync", "copy_file_range", "sendfile"):
            patch.setattr(os, name, unexpected)
        yield recording
