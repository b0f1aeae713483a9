"""A disk as a base that is never written and a sparse file with the sectors that differ."""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from qemu_tests.errors import DiskFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECTOR = 512


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """What goes wrong with the files in there is a DiskFolderError."""
    try:
        yield
    except OSError as error:
        raise DiskFolderError(folder, error.strerror or str(error)) from error


def write_all(fd: int, offset: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` at ``offset``, however little the system takes at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, offset)
        offset, view = offset + done, view[done:]


class Readable(Protocol):
    """Bytes that can be read at offsets."""

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``. Raises OSError."""


class RawImage:
    """A raw image that is only read. It stays the same when the file is replaced, and is closed with the last reference."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``, zeros beyond the end. Raises OSError."""
        return os.pread(self._fd, length, offset).ljust(length, b"\0")


class Section:
    """What lies from byte ``offset`` on, as a slot lies on its disk."""

    def __init__(self, below: Readable, offset: int) -> None:
        self._below, self._offset = below, offset

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset`` of the section. Raises OSError."""
        return self._below.read(self._offset + offset, length)


class Overlay:
    """What was written over ``below``. Offsets and lengths are bytes, in whole sectors of 512; not for two threads at once."""

    def __init__(self, below: Readable, size: int, path: Path) -> None:
        """``path`` is made or emptied. Raises OSError."""
        self._below, self.path = below, path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        weakref.finalize(self, os.close, self._fd)
        self._written = bytearray(size // SECTOR)

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``. Raises OSError."""
        at, end, parts = offset // SECTOR, (offset + length) // SECTOR, []
        while at < end:
            is_here = self._written[at]
            until = self._written.find(b"\0" if is_here else b"\1", at, end)
            until = end if until < 0 else until
            place, count = at * SECTOR, (until - at) * SECTOR
            parts.append(os.pread(self._fd, count, place) if is_here else self._below.read(place, count))
            at = until
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write at ``offset``. Raises OSError."""
        first, count = offset // SECTOR, len(data) // SECTOR
        write_all(self._fd, offset, data)
        self._written[first : first + count] = b"\1" * count
