"""A disk or image file with a GPT: read its state, write a table."""

from __future__ import annotations

import os

from gptlib.errors import CorruptGptError, NotGptError, ReadOnlyError
from gptlib.linux.device import BlockDevice, open_device
from gptlib.linux.lock import DEADLINE, lock_exclusive
from gptlib.read.sectors import SectorCache
from gptlib.read.state import State, examine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from gptlib.linux.device import Device
    from gptlib.read.state import Examination
    from gptlib.table.table import Table
    from gptlib.write.plan import Epoch, Region


class Disk:
    """An open disk or image file. Use it as a context manager.

    One opened for writing holds the exclusive lock until it is closed, so what was read stays true until the write. What only
    writers need is imported when something is written.
    """

    def __init__(self, device: Device, *, writable: bool) -> None:
        self.device, self.writable = device, writable
        self._found: Examination | None = None
        self._cache: SectorCache | None = None
        self.notices: tuple[str, ...] = ()
        """What the last ``write`` had to leave alone, one line each; empty on a sound disk."""

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, write: bool = False, lock_deadline: float = DEADLINE) -> Self:
        """Open a whole-disk node or an image file.

        Raises TargetError, ReadOnlyError, or BusyError when another writer keeps the lock for ``lock_deadline`` seconds.
        """
        device = open_device(os.fspath(path), write=write)
        try:
            if write:
                lock_exclusive(device.fd, device.path, deadline=lock_deadline)
        except BaseException:
            device.close()
            raise
        return cls(device, writable=write)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()

    @property
    def path(self) -> str:
        """The path that was opened."""
        return self.device.path

    def examine(self) -> Examination:
        """Read and validate everything, whatever it is; ``table`` is None where there is no usable table."""
        self._cache = SectorCache(self.device)
        self._found = examine(self._cache, self.device.sector_size)
        return self._found

    def read(self) -> State:
        """The state of the disk. Raises NotGptError or CorruptGptError when it holds no usable table."""
        return self._usable(self.examine())

    def table(self) -> Table:
        """The table of the disk. Raises as ``read``."""
        return self.read().table

    @property
    def examination(self) -> Examination:
        """What was found since the last write; the disk is examined where it was not."""
        return self._found or self.examine()

    @property
    def state(self) -> State:
        """What was read since the last write; the disk is read where it was not. Raises as ``read``."""
        return self._usable(self.examination)

    @property
    def cache(self) -> SectorCache:
        """The sectors that were read since the last write."""
        return self._cache or SectorCache(self.device)

    def _usable(self, found: Examination) -> State:
        if found.table is None:
            raise self._unusable(found)
        return State._make(found)

    def _unusable(self, found: Examination) -> CorruptGptError | NotGptError:
        if found.has_signature:
            worst = [f"{finding.where}: {finding.message}" for finding in found.findings if finding.severity == "error"]
            return CorruptGptError(self.path, "; ".join(worst) or "both copies are marked to be ignored")
        if self.device.size < 3 * 512:
            return NotGptError(self.path, f"it has only {self.device.size} bytes; give a disk or a whole disk image")
        unreadable = [finding.message for finding in found.findings if finding.code == "unreadable"]
        if unreadable:
            return CorruptGptError(self.path, "; ".join(unreadable))
        other = examine(SectorCache(self.device), None) if self.device.sector_size else found
        if other.has_signature:
            damaged = "" if other.table else "a damaged "
            return NotGptError(
                self.path,
                f"there is {damaged}one for {other.sector_size}-byte sectors on this disk of {found.sector_size}-byte "
                "sectors; make the image for the sector size of the disk",
            )
        detail = f"no 'EFI PART' in sector 1 or in the last one of its {found.total_sectors} sectors"
        return NotGptError(self.path, f"{detail}; create one with 'gptctl create' if the disk is to be wiped")

    def write(self, table: Table) -> Sequence[Epoch]:
        """Make ``table`` the table of the disk, in the order of ``gptlib.write.plan``, and repair what was damaged.

        Returns what was written: nothing when nothing changes. After a power cut or WriteError at any point the disk
        holds the old or the new table for every reader. For that the backup must be where all of them look: a change of a
        disk that was grown or shrunk moves it to the end. Raises TableError, TruncatedDiskError, PartitionInUseError and
        ReadOnlyError (nothing written), WriteError, and KernelError when the kernel would not take over a new partition.
        """
        from gptlib.write.table import write_table

        return write_table(self, table)

    def create(self, table: Table, *, mbr: bytes | None = None) -> Sequence[Epoch]:
        """Write a new table, whatever the disk holds now, and last the MBR: a protective one, or the 512 bytes given.

        Boot code stays, unless ``mbr`` brings its own. A table that can be read now is kept readable until the new one is. Errors as ``write``.
        """
        from gptlib.write.table import create_table

        return create_table(self, table, mbr=mbr)

    def repair(self, *, force: bool = False) -> Sequence[Epoch]:
        """Write what is damaged again, and move the backup to the end of a disk that was grown or shrunk.

        The old table can be read throughout. Raises as ``write``; TruncatedDiskError when partitions lie beyond the end;
        TableError when something that is not ours stands where a copy would be written, unless it is to go by ``force``.
        Where the disk ends with another format's signature, only what is damaged is written, in its own place.
        """
        from gptlib.write.table import repair_table

        return repair_table(self, force=force)

    def erase(self) -> Sequence[Epoch]:
        """Zero both copies, so that there is no table any more; the MBR stays.

        Raises ReadOnlyError, PartitionInUseError, TableError where a copy lies in a partition (nothing written), WriteError and KernelError.
        """
        from gptlib.write.erase import erase

        return erase(self)

    def check_writable(self) -> None:
        """Raise ReadOnlyError where the disk was opened for reading only."""
        if not self.writable:
            raise ReadOnlyError(self.path, "it was opened for reading only")

    def write_regions(self, steps: Iterable[Iterable[Region]]) -> Sequence[Epoch]:
        """Write what differs of the regions of each step and flush, one step after the other.

        A power cut leaves what the steps until then have written. Raises TableError where a region lies in a partition (nothing
        written), and WriteError.
        """
        from gptlib.write.placement import check_writes
        from gptlib.write.plan import plan_regions

        found = self.examination
        epochs = plan_regions(self.cache.sectors(found.sector_size), found.sector_size, steps)
        if found.table is not None:
            check_writes(self.path, found.table, epochs)
        return self.write_epochs(epochs, found.sector_size)

    def write_epochs(self, epochs: Sequence[Epoch], sector_size: int) -> Sequence[Epoch]:
        """Write planned sectors, with a flush behind each epoch. Nothing is checked. Raises WriteError."""
        self.forget()
        for epoch in epochs:
            for write in epoch:
                self.device.write(write.lba * sector_size, write.data)
            self.device.flush()
        return epochs

    def forget(self) -> None:
        """Drop what was read: the disk changes."""
        self._found = self._cache = None

    def tell_kernel(self, table: Table) -> None:
        """Make the kernel see the partitions of ``table``. Raises KernelError. Image files have no such view."""
        if self.block_fd is not None:
            from gptlib.linux.kernel import sync_kernel

            sync_kernel(self.block_fd, self.path, table)

    @property
    def block_fd(self) -> int | None:
        """The descriptor of a block device; None for an image file, of which the kernel knows no partitions."""
        return self.device.fd if isinstance(self.device, BlockDevice) else None
