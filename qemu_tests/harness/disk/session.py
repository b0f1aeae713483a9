"""A disk while the power is on: what the guest sees, what is on stable storage, and the faults that strike."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.faults import (
    BadFlush,
    BadSector,
    CutAfter,
    CutAt,
    CutAtWrite,
    FullDisk,
    ReadOnlyDisk,
    SlowDisk,
)
from qemu_tests.harness.disk.nbd import FrozenError
from qemu_tests.harness.disk.overlay import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.disk.log import Write, WriteLog
    from qemu_tests.harness.disk.losses import Loss
    from qemu_tests.harness.disk.overlay import Overlay


class Session:
    """From power on to power off. Writes go to ``view`` and into the log; ``durable`` gets them when they are flushed.

    The server's thread calls ``read``, ``write`` and ``flush``; everything else may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        durable: Overlay,
        view: Overlay,
        size: int,
        log: WriteLog,
        faults: Sequence[Fault] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.size, self.read_only = size, ReadOnlyDisk() in faults
        self._name, self._durable, self._view, self._log = name, durable, view, log
        self._faults, self._clock, self._pause, self._begin = tuple(faults), clock, pause, clock()
        self._lock = threading.Lock()
        self._flushed: list[Write] = []
        self._unflushed: list[Write] = []
        self._writes = self._bytes = self._flushes = 0
        self.frozen = False
        """Whether a cut has struck, or ``freeze`` was called: nothing is carried out any more."""

    @property
    def unflushed(self) -> tuple[Write, ...]:
        """What would be at stake if the power failed now, oldest first."""
        with self._lock:
            return tuple(self._unflushed)

    def read(self, offset: int, length: int) -> bytes:
        """What the guest sees. Raises OSError for a bad sector, FrozenError."""
        with self._lock:
            self._begin_request()
            self._check_sectors("read", offset, length)
            return self._view.read(offset, length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write; lost when the power fails before ``flush``. Raises OSError for a fault, FrozenError."""
        with self._lock:
            self._begin_request()
            self._writes += 1
            self._check_cut(offset, len(data))
            if self.read_only:
                raise _error(errno.EPERM)
            self._check_sectors("write", offset, len(data))
            self._check_room(len(data))
            self._view.write(offset, data)
            self._unflushed.append(self._log.write(self._name, offset, data))

    def flush(self) -> None:
        """Everything that was written is on stable storage. Raises OSError for a fault, FrozenError."""
        with self._lock:
            self._begin_request()
            self._flushes += 1
            if any(isinstance(fault, BadFlush) and self._flushes > fault.after for fault in self._faults):
                raise _error(errno.EIO)
            self._log.flush(self._name)
            self._flushed += self._unflushed
            self._unflushed.clear()

    def freeze(self) -> None:
        """Carry out nothing any more, as if the power had failed."""
        with self._lock:
            self.frozen = True

    def destroy(self, offset: int, length: int) -> None:
        """Make zeros of what is on the medium and of what the guest sees, as if a sector had lost its contents."""
        self.settle()
        with self._lock:
            self._durable.write(offset, bytes(length))
            self._view.write(offset, bytes(length))

    def settle(self) -> None:
        """Bring ``durable`` up to date with what was flushed."""
        with self._lock:
            for write in self._flushed:
                self._durable.write(write.offset, self._log.data(write))
            self._flushed.clear()

    def end(self, loss: Loss) -> None:
        """The power is off: ``durable`` gets what was flushed and what survives of the rest."""
        self.freeze()
        self.settle()
        for piece in loss.survivors(self._unflushed):
            data = self._log.data(piece.write, piece.start, piece.length)
            self._durable.write(piece.write.offset + piece.start, data)
        self._unflushed.clear()

    def _begin_request(self) -> None:
        for fault in self._faults:
            if isinstance(fault, SlowDisk):
                self._pause(fault.seconds)
        passed = self._clock() - self._begin
        if any(isinstance(fault, CutAfter) and passed >= fault.seconds for fault in self._faults):
            self.frozen = True
        if self.frozen:
            raise FrozenError

    def _check_cut(self, offset: int, length: int) -> None:
        for fault in self._faults:
            at_sector = isinstance(fault, CutAt) and _covers(offset, length, fault.sector)
            if at_sector or (isinstance(fault, CutAtWrite) and self._writes == fault.number):
                self.frozen = True
                raise FrozenError

    def _check_sectors(self, operation: str, offset: int, length: int) -> None:
        for fault in self._faults:
            if isinstance(fault, BadSector) and fault.operation == operation and _covers(offset, length, fault.sector):
                raise _error(errno.EIO)

    def _check_room(self, length: int) -> None:
        self._bytes += length
        if any(isinstance(fault, FullDisk) and self._bytes > fault.room for fault in self._faults):
            raise _error(errno.ENOSPC)


def _covers(offset: int, length: int, sector: int) -> bool:
    """Whether a request of these bytes reads or writes the sector."""
    return offset <= sector * SECTOR < offset + length


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
