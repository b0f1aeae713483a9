"""Writes an image into a slot and reads it back from the disk."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
from typing import TYPE_CHECKING

from update_agent.errors import SlotBusyError, SlotWriteError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, Self

CHUNK = 1 << 20
"""Bytes a write; a multiple of every sector size, as O_DIRECT needs."""
_SECTOR = 4096


class SlotWriter:
    """The bytes of one slot: the node of its partition, or a range of an image file.

    A partition node is opened exclusively (a mounted slot is refused) and with O_DIRECT, so what is read back comes from
    the disk and not from the page cache. Two writers exclude each other with a lock.
    """

    def __init__(self, path: str, start: int = 0) -> None:
        """``start`` is the first byte of the slot in ``path``. Raises SlotBusyError."""
        self.path, self._start = path, start
        try:
            block = stat.S_ISBLK(os.stat(path).st_mode)  # noqa: PTH116
            flags = os.O_DIRECT | os.O_EXCL if block else 0
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)
        except OSError as error:
            reason = "it is mounted or in use" if error.errno == errno.EBUSY else error.strerror
            raise SlotBusyError(path, str(reason)) from error
        # An open-file-description lock: in an image file it goes beside the flock that a change of the table takes.
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, 0, 0)
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, lock)
        except BlockingIOError as error:
            os.close(self._fd)
            raise SlotBusyError(path, "another installation is writing it") from error
        # Anonymous memory is page-aligned, as O_DIRECT needs. It is unmapped with the last view of it.
        self._buffer = mmap.mmap(-1, CHUNK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def write(self, source: BinaryIO, progress: Callable[[int], None]) -> str:
        """Copy ``source`` to the start of the slot and flush; the SHA-256 of what was read from it.

        A last partial sector is filled up with zeros. ``progress`` is given the number of bytes written. Raises
        SlotWriteError; the slot then holds part of the image.
        """
        digest, offset = hashlib.sha256(), 0
        view = memoryview(self._buffer)
        try:
            while length := _fill(source, view):
                digest.update(view[:length])
                padded = -(-length // _SECTOR) * _SECTOR
                view[length:padded] = bytes(padded - length)
                self._write_all(view[:padded], offset)
                offset += length
                progress(offset)
            os.fsync(self._fd)
        except OSError as error:
            raise SlotWriteError(self.path, offset, error.strerror or str(error)) from error
        return digest.hexdigest()

    def _write_all(self, data: memoryview, offset: int) -> None:
        while data:
            done = os.pwrite(self._fd, data, self._start + offset)
            offset, data = offset + done, data[done:]

    def read_back(self, size: int, progress: Callable[[int], None]) -> str:
        """SHA-256 of the first ``size`` bytes of the slot. Raises SlotWriteError when they cannot be read."""
        digest, offset = hashlib.sha256(), 0
        view = memoryview(self._buffer)
        try:
            while offset < size:
                done = os.preadv(self._fd, [view], self._start + offset)
                if not done:
                    raise SlotWriteError(self.path, offset, "reading back: the slot ends here")
                digest.update(view[: min(done, size - offset)])
                offset += done
                progress(min(offset, size))
        except OSError as error:
            raise SlotWriteError(self.path, offset, f"reading back: {error.strerror or error}") from error
        return digest.hexdigest()


def _fill(source: BinaryIO, view: memoryview) -> int:
    """Read until the buffer is full or the source ends; the number of bytes."""
    length = 0
    while length < len(view):
        data = source.read(len(view) - length)
        if not data:
            break
        view[length : length + len(data)] = data
        length += len(data)
    return length
