"""A disk while the power is on: what the guest sees, what is on stable storage, and the faults that strike."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qemu_tests.errors import DiskFolderError, DiskServerError
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
from qemu_tests.harness.disk.losses import whole
from qemu_tests.harness.disk.nbd import FrozenError
from qemu_tests.harness.disk.overlay import SECTOR, kept_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from qemu_tests.errors import LabError
    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.disk.log import Write, WriteLog
    from qemu_tests.harness.disk.losses import Loss, Piece
    from qemu_tests.harness.disk.overlay import Overlay


class Session:
    """From power on to power off. Writes go to ``view`` and into the log; ``durable`` gets them when they are flushed.

    With ``write_through`` every write is durable when it is answered. What the host cannot keep is no fault of the guest's disk:
    the session freezes, and ``problem`` says why.

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
        write_through: bool = False,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.size, self.read_only = size, ReadOnlyDisk() in faults
        self._name, self._durable, self._view, self._log = name, durable, view, log
        self._faults, self._clock, self._pause, self._begin = tuple(faults), clock, pause, clock()
        self._write_through = write_through
        self._lock = threading.Lock()
        self._to_settle: list[Write] = []
        self._epoch: list[Write] = []
        self._writes = self._bytes = self._flushes = 0
        self.frozen = False
        """Whether a cut has struck, ``freeze`` was called or there is a problem: nothing is carried out any more."""
        self.problem: LabError | None = None
        """What froze the session although no fault and nobody wanted it: DiskFolderError or DiskServerError."""

    @property
    def unflushed(self) -> tuple[Write, ...]:
        """What would be at stake if the power failed now, oldest first."""
        with self._lock:
            return tuple(write for write in self._epoch if not write.durable)

    def read(self, offset: int, length: int) -> bytes:
        """What the guest sees. Raises OSError for a bad sector, FrozenError."""
        with self._lock:
            self._begin_request()
            self._check_sectors("read", offset, length)
            with self._host(self._view.path):
                return self._view.read(offset, length)

    def write(self, offset: int, data: bytes | memoryview, *, fua: bool = False) -> None:
        """Write; lost when the power fails before ``flush``, unless ``fua``. Raises OSError for a fault, FrozenError.

        A write with ``fua`` is durable alone: what was written before, and not in the same place, is as much at stake as it was.
        """
        with self._lock:
            self._begin_request()
            self._writes += 1
            self._check_cut(offset, len(data))
            if self.read_only:
                raise _error(errno.EPERM)
            self._check_sectors("write", offset, len(data))
            self._check_room(len(data))
            failed = fua and self._flush_fails()
            self._keep(offset, data, durable=self._write_through or (fua and not failed))
            if failed:
                raise _error(errno.EIO)

    def _keep(self, offset: int, data: bytes | memoryview, *, durable: bool) -> None:
        with self._host(self._view.path):
            self._view.write(offset, data)
            write = self._log.write(self._name, offset, data, durable=durable)
        self._epoch.append(write)
        if durable:
            self._to_settle.append(write)

    def flush(self) -> None:
        """Everything that was written is on stable storage. Raises OSError for a fault, FrozenError."""
        with self._lock:
            self._begin_request()
            if self._flush_fails():
                raise _error(errno.EIO)
            self._log.flush(self._name)
            # Those with FUA once more: what they were written over comes with them, and before them.
            self._to_settle += self._epoch
            self._epoch.clear()

    def _flush_fails(self) -> bool:
        self._flushes += 1
        return any(isinstance(fault, BadFlush) and self._flushes > fault.after for fault in self._faults)

    def freeze(self) -> None:
        """Carry out nothing any more, as if the power had failed."""
        with self._lock:
            self.frozen = True

    def fail(self, error: Exception) -> None:
        """The server cannot go on: freeze, with ``problem``. Nothing where the session was frozen before."""
        with self._lock:
            if not self.frozen:
                self.frozen, self.problem = True, DiskServerError(self._name, str(error) or type(error).__name__)

    def destroy(self, offset: int, length: int) -> None:
        """Make zeros of what is on the medium and of what the guest sees, as if a sector had lost its contents.

        In the log it is a durable write. Raises DiskFolderError.
        """
        with self._lock, self._for_the_harness():
            self._keep(offset, bytes(length), durable=True)

    def settle(self) -> None:
        """Bring ``durable`` up to date with what was flushed. Raises DiskFolderError."""
        with self._lock, self._for_the_harness():
            for write in self._to_settle:
                self._make_durable(whole(write))
            self._to_settle.clear()

    def end(self, loss: Loss, text: str = "power off") -> None:
        """The power is off: ``durable`` gets what was flushed and what survives of the rest. Raises DiskFolderError."""
        unflushed = self.unflushed
        self.freeze()
        self.settle()
        with self._lock, self._for_the_harness():
            always = [whole(write) for write in self._epoch if write.durable]
            kept = sorted([*loss.survivors(unflushed), *always], key=lambda piece: piece.write.number)
            for piece in kept:
                self._make_durable(piece)
            self._epoch.clear()
            self._log.power_off(self._name, text, tuple(kept))

    def _make_durable(self, piece: Piece) -> None:
        with self._host(self._durable.path):
            data = self._log.data(piece.write, piece.start, piece.length)
            self._durable.write(piece.write.offset + piece.start, data)

    @contextmanager
    def _host(self, path: Path) -> Iterator[None]:
        try:
            with kept_in(path.parent):
                yield
        except DiskFolderError as problem:
            self.frozen, self.problem = True, problem
            raise FrozenError from problem

    @contextmanager
    def _for_the_harness(self) -> Iterator[None]:
        """Whoever is not the guest gets the problem itself."""
        try:
            yield
        except FrozenError as error:
            raise self.problem or error from error.__cause__

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
