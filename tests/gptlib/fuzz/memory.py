"""A disk in memory that remembers every write and every flush: the commands run on it as on an image file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gptlib.errors import ReadError
from gptlib.table.table import MAX_ARRAY_BYTES
from tests.gptlib.oracle import Write

if TYPE_CHECKING:
    from collections.abc import Iterator


class MemoryDisk:
    """Stands in for ``gptlib.linux.device.FileDevice``."""

    sector_size: int | None = None

    def __init__(self, path: str, data: bytes) -> None:
        self.path, self.image, self.fd = path, bytearray(data), -1
        self.before = data
        self.epochs: list[list[Write]] = [[]]
        self.reads = 0

    @property
    def size(self) -> int:
        return len(self.image)

    def read(self, offset: int, length: int) -> bytes:
        self.reads += 1
        assert length <= MAX_ARRAY_BYTES
        data = bytes(self.image[offset : offset + length])
        if len(data) != length or offset < 0:
            raise ReadError(self.path, offset, length, f"it ends after {len(data)} bytes")
        return data

    def write(self, offset: int, data: bytes) -> None:
        assert 0 <= offset <= offset + len(data) <= len(self.image), "a write outside of the disk"
        self.epochs[-1].append(Write(offset, bytes(data)))
        self.image[offset : offset + len(data)] = data

    def flush(self) -> None:
        self.epochs.append([])

    def extend(self, size: int) -> None:
        self.image += bytes(size - len(self.image))

    def close(self) -> None:
        assert self.epochs[-1] == [], "the last writes were not flushed"

    @property
    def writes(self) -> list[Write]:
        return [write for epoch in self.epochs for write in epoch]


@contextmanager
def in_memory(path: str, data: bytes) -> Iterator[MemoryDisk]:
    """Whatever opens ``path`` finds a disk in memory. The lock is left out: there is nobody else."""
    disk = MemoryDisk(path, data)

    def opened(name: str, *, write: bool = False) -> MemoryDisk:
        assert name == path
        assert isinstance(write, bool)
        return disk

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gptlib.disk.open_device", opened)
        patch.setattr("gptlib.disk.lock_exclusive", lambda *_, **__: None)
        yield disk
