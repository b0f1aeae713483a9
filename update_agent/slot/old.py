"""The slot that a difference is made from, opened for reading and nothing else."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gptlib.linux.device import BlockDevice
from gptlib.linux.kernel import check_view
from gptlib.linux.nodes import partition_node
from update_agent.payload.errors import OldImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.disk import Disk
    from gptlib.table.table import Table

_PIECE = 1 << 20


class OldSlot:
    """The bytes of a slot, for reading."""

    def __init__(self, fd: int, start: int, length: int) -> None:
        self._fd, self._start, self._length = fd, start, length

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset`` on, fewer only at the end of the slot. Raises OldImageError."""
        wanted, data = max(0, min(length, self._length - offset)), b""
        try:
            while len(data) < wanted and (
                more := os.pread(self._fd, wanted - len(data), self._start + offset + len(data))
            ):
                data += more
        except OSError as error:
            raise OldImageError(offset, error.strerror or str(error)) from error
        return data

    def require(self, size: int, sha256: str) -> None:
        """Raise OldImageError unless its first ``size`` bytes have this SHA-256: only then is it what a difference was made from."""
        digest, offset = hashlib.sha256(), 0
        while offset < size:
            data = self.read(offset, min(_PIECE, size - offset))
            if not data:
                raise OldImageError(offset, f"the slot ends here, and the image has {size} bytes")
            digest.update(data)
            offset += len(data)
        if digest.hexdigest() != sha256:
            raise OldImageError(0, f"it has the SHA-256 {digest.hexdigest()}, the update was made from {sha256}")


@contextmanager
def open_old(disk: Disk, table: Table, number: int) -> Iterator[OldSlot]:
    """Partition ``number`` of the open disk.

    Raises OldImageError where it cannot be opened, and gptlib's NoNodeError and StaleViewError.
    """
    device, partition = disk.device, table.partition(number)
    start, length = partition.first_lba * table.sector_size, partition.sectors * table.sector_size
    path, rdev = disk.path, 0
    if isinstance(device, BlockDevice):
        rdev = os.fstat(device.fd).st_rdev
        path, start = partition_node(disk.path, rdev, number), 0
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OldImageError(0, f"{path}: {error.strerror or error}") from error
    try:
        if rdev:
            check_view(disk.path, rdev, os.fstat(fd).st_rdev, table, number)
        yield OldSlot(fd, start, length)
    finally:
        os.close(fd)
