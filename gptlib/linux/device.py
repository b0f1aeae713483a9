"""Disks and image files as ranges of bytes, with writes that touch exactly the sectors meant."""

from __future__ import annotations

import errno
import fcntl
import os
from mmap import mmap
from stat import S_ISBLK, S_ISREG
from struct import unpack

from gptlib._files import status
from gptlib.errors import ReadError, ReadOnlyError, TargetError, WriteError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Device(Protocol):
        """What gptlib needs from a disk. Offsets and lengths are bytes, in whole sectors."""

        @property
        def path(self) -> str:
            """What it was opened as."""

        @property
        def size(self) -> int:
            """Bytes."""

        @property
        def sector_size(self) -> int | None:
            """Bytes; None when it has to be found out from the contents (an image file)."""

        def read(self, offset: int, length: int) -> bytes:
            """``length`` bytes at ``offset``. Raises ReadError."""

        def write(self, offset: int, data: bytes) -> None:
            """Write at ``offset``; durable only after ``flush``. Raises WriteError."""

        def flush(self) -> None:
            """Return when everything written before is on stable storage. Raises WriteError."""

        def extend(self, size: int) -> None:
            """Make an image file longer; TypeError for what cannot grow."""

        def close(self) -> None:
            """Release the descriptor, and with it the lock."""


# linux/fs.h
BLKROGET, BLKSSZGET, BLKGETSIZE64 = 0x125E, 0x1268, 0x80081272


class FileDevice:
    """An image file."""

    sector_size: int | None = None

    def __init__(self, path: str, fd: int, size: int) -> None:
        self.path, self.fd, self.size = path, fd, size

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes at ``offset``. Raises ReadError, also where the file ends before."""
        try:
            data = os.pread(self.fd, length, offset)
        except OSError as error:
            raise ReadError(self.path, offset, length, _reason(error)) from error
        if len(data) != length:
            raise ReadError(self.path, offset, length, f"it ends after {len(data)} bytes")
        return data

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write at ``offset``. Raises WriteError; sectors before the failing one may have been written."""
        while True:
            try:
                done = os.pwrite(self.fd, data, offset)
            except OSError as error:
                raise WriteError(self.path, offset, len(data), _reason(error)) from error
            if done == len(data):
                return
            offset, data = offset + done, data[done:]

    def flush(self) -> None:
        """fsync: everything written before is on stable storage. Raises WriteError."""
        try:
            os.fsync(self.fd)
        except OSError as error:
            raise WriteError(self.path, 0, 0, f"flushing: {_reason(error)}") from error

    def extend(self, size: int) -> None:
        """Make the file ``size`` bytes long; what is added is a hole. Raises WriteError."""
        try:
            os.ftruncate(self.fd, size)
        except OSError as error:
            raise WriteError(self.path, self.size, size - self.size, f"extending: {_reason(error)}") from error
        self.size = size

    def close(self) -> None:
        """Close the descriptor; this also releases the lock."""
        os.close(self.fd)


class BlockDevice(FileDevice):
    """A whole-disk node, opened with O_DIRECT.

    A buffered write would read and write back whole 4 KiB pages of the page cache, neighbouring partition data included.
    """

    sector_size: int

    def __init__(self, path: str, fd: int) -> None:
        size = int(unpack("Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))[0])
        super().__init__(path, fd, size)
        self.sector_size = int(unpack("i", fcntl.ioctl(fd, BLKSSZGET, bytes(4)))[0])

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from the sector at ``offset`` on, from the device itself. Raises ReadError."""
        with _aligned(-(-length // self.sector_size) * self.sector_size) as buffer:
            try:
                done = os.preadv(self.fd, [buffer], offset)
            except OSError as error:
                raise ReadError(self.path, offset, length, _reason(error)) from error
            if done < length:
                raise ReadError(self.path, offset, length, f"it ends after {done} bytes")
            return bytes(buffer[:length])

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write exactly these sectors. Raises WriteError."""
        with _aligned(len(data)) as buffer:
            buffer[:] = data
            super().write(offset, buffer)

    def extend(self, size: int) -> None:
        """A device has the size it has."""
        raise TypeError(f"{self.path} is a device; it cannot be made {size} bytes long")


def _aligned(length: int) -> memoryview:
    # Anonymous memory starts on a page. It is unmapped with the last view of it.
    return memoryview(mmap(-1, length))[:length]


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def open_device(path: str, *, write: bool = False) -> FileDevice:
    """Open a whole-disk node or an image file.

    Raises TargetError when it does not exist or is neither, ReadOnlyError when it cannot be written but should be.
    """
    try:
        mode = status(path).st_mode
        if not S_ISBLK(mode) and not S_ISREG(mode):
            raise TargetError(path, "is neither a block device nor a regular file; give a disk or an image file")
        direct = os.O_DIRECT if S_ISBLK(mode) else 0
        fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC | direct)
    except OSError as error:
        if write and error.errno in {errno.EROFS, errno.EACCES, errno.EPERM, errno.ETXTBSY}:
            raise ReadOnlyError(path, _reason(error)) from error
        raise TargetError(path, f"cannot be opened: {_reason(error)}") from error
    try:
        if not direct:
            return FileDevice(path, fd, os.fstat(fd).st_size)
        if write and unpack("i", fcntl.ioctl(fd, BLKROGET, bytes(4)))[0]:
            raise ReadOnlyError(path, "the device is set read-only")
        return BlockDevice(path, fd)
    except BaseException:
        os.close(fd)
        raise
