"""The disk of a machine: its contents on stable storage, through any number of power cycles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qemu_tests.errors import ImageError, MachineStateError
from qemu_tests.harness.disk.image import SMALLEST_DISK, as_raw, image_info
from qemu_tests.harness.disk.log import WriteLog
from qemu_tests.harness.disk.losses import NothingLost
from qemu_tests.harness.disk.overlay import SECTOR, Overlay, RawImage, kept_in
from qemu_tests.harness.disk.recording import Recording
from qemu_tests.harness.disk.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.disk.losses import Loss


_BLOCK = 1 << 20
_BACKUP = 1 << 16
"""More than the bytes at the end of a disk that hold the backup of its table."""


class MachineDisk:
    """A disk with a volatile write cache, over an image that is never written. All writes and flushes are logged.

    What the guest has not flushed is not part of the disk until it is, or until the power is switched off in an orderly way.
    A ``write_through`` medium has no cache, as a flash chip: each write is part of it when it is answered.
    """

    def __init__(
        self,
        image: Path,
        folder: Path,
        name: str = "disk",
        *,
        log: WriteLog | None = None,
        write_through: bool = False,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """``folder`` takes what is written; disks of one machine share a ``log``; ``clock`` and ``pause`` are those of faults that know time.

        Raises ImageError, DiskFolderError, ToolFailedError and MissingToolError.
        """
        # Only what has a cache is a disk with partitions; a chip may be smaller.
        info = image_info(image, SECTOR if write_through else SMALLEST_DISK)
        self.name, self.size, self._folder = name, info.size, folder
        self._write_through, self._clock, self._pause = write_through, clock, pause
        self._base = RawImage(as_raw(image, info.format, folder))
        with kept_in(folder):
            self._durable = Overlay(self._base, self.size, folder / f"{name}.durable")
            self.log = WriteLog(folder / f"{name}.log") if log is None else log
        self.session: Session | None = None
        """The disk as it is while the power is on."""

    def power_on(self, faults: Sequence[Fault] = ()) -> Session:
        """Start a session. Raises MachineStateError when there is one, DiskFolderError."""
        if self.session is not None:
            raise MachineStateError(self.name, "be switched on", "on")
        with kept_in(self._folder):
            view = Overlay(self._durable, self.size, self._folder / f"{self.name}.view")
        self.log.mark(f"{self.name}: power on")
        self.session = Session(
            *(self.name, self._durable, view, self.size, self.log, faults),
            write_through=self._write_through,
            clock=self._clock,
            pause=self._pause,
        )
        return self.session

    def power_off(self, loss: Loss | None = None) -> None:
        """End the session; what ``loss`` says of the unflushed writes is lost, nothing by default. Harmless when it is off.

        Raises DiskFolderError.
        """
        session, self.session = self.session, None
        if session is not None:
            session.end(loss or NothingLost(), "power off" if loss is None else f"power cut: {loss}")

    def recording(self) -> Recording:
        """All that was written since the machine was made; damage done from outside is a durable write."""
        return Recording(self.name, self.size, self._base, self.log, tuple(self.log.entries))

    def read(self, offset: int, length: int) -> bytes:
        """What a power cut at this moment would leave, where all that is unflushed is lost. A running guest does not notice.

        Raises DiskFolderError.
        """
        if self.session is not None:
            self.session.settle()
        with kept_in(self._folder):
            return self._durable.read(offset, length)

    def write_zeros(self, offset: int, length: int) -> None:
        """Destroy ``length`` bytes at ``offset`` on the medium; both are multiples of 512. Raises ImageError for another place.

        A running guest sees zeros when it reads there again.
        """
        if offset % SECTOR or length % SECTOR or offset < 0 or length <= 0 or offset + length > self.size:
            raise ImageError(
                self._folder, f"{length} bytes at {offset} are not sectors of this disk of {self.size} bytes"
            )
        if self.session is not None:
            self.session.destroy(offset, length)
        else:
            with kept_in(self._folder):
                self.log.write(self.name, offset, bytes(length), durable=True)
                self._durable.write(offset, bytes(length))

    def copy_tables(self, target: Path) -> Path:
        """A sparse raw image of the same size with the first MiB and the end, where the tables are; see ``read``."""
        tail = max(_BLOCK, (self.size - _BACKUP) // _BLOCK * _BLOCK)
        with target.open("wb") as file:
            file.truncate(self.size)
            file.write(self.read(0, _BLOCK))
            file.seek(tail)
            file.write(self.read(tail, self.size - tail))
        return target

    def export(self, target: Path) -> Path:
        """The whole disk as a sparse raw image; see ``read``."""
        part, zeros = target.with_name(f".{target.name}.part"), bytes(_BLOCK)
        with part.open("wb") as file:
            file.truncate(self.size)
            for offset in range(0, self.size, _BLOCK):
                data = self.read(offset, min(_BLOCK, self.size - offset))
                if data != zeros[: len(data)]:
                    file.seek(offset)
                    file.write(data)
        part.rename(target)
        return target
