"""A disk or image file with a GPT: read its state, write a table."""

from __future__ import annotations

import os

from gptlib.errors import CorruptGptError, InvalidValueError, NotGptError, ReadOnlyError, TableError
from gptlib.linux.device import BlockDevice, open_device
from gptlib.linux.kernel import check_unused, sync_kernel
from gptlib.linux.lock import DEADLINE, lock_exclusive
from gptlib.read.sectors import SectorCache
from gptlib.read.state import State, read_state
from gptlib.table.mbr import ABSENT, MBR_BYTES, PROTECTIVE, has_signature, protective_mbr
from gptlib.table.structures import BACKUP, PRIMARY
from gptlib.table.table import Table
from gptlib.write.placement import (
    check_outside_partitions,
    check_places,
    check_room,
    check_writes,
    in_partition,
    is_outside_partitions,
    is_writable,
    places,
)
from gptlib.write.plan import plan_regions, plan_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Literal, Self

    from gptlib.linux.device import Device
    from gptlib.write.plan import Epoch, Region


class Disk:
    """An open disk or image file. Use it as a context manager.

    One opened for writing holds the exclusive lock until it is closed, so what was read stays true until the write.
    """

    def __init__(self, device: Device, *, writable: bool) -> None:
        self.device, self.writable = device, writable
        self._state: State | None = None
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

    def examine(self) -> State:
        """Read and judge everything, whatever it is; ``state.table`` is None where there is no usable table."""
        self._cache = SectorCache(self.device)
        self._state = read_state(self._cache, self.device.sector_size)
        return self._state

    def read(self) -> State:
        """The state of the disk. Raises NotGptError or CorruptGptError when it holds no usable table."""
        state = self.examine()
        if state.table is None:
            raise self._unusable(state)
        return state

    def table(self) -> Table:
        """The table of the disk. Raises as ``read``."""
        return _table_of(self.read())

    def _unusable(self, state: State) -> CorruptGptError | NotGptError:
        if state.has_signature:
            worst = [f"{finding.where}: {finding.message}" for finding in state.findings if finding.severity == "error"]
            return CorruptGptError(self.path, "; ".join(worst) or "both copies are marked to be ignored")
        if self.device.size < 3 * 512:
            return NotGptError(self.path, f"it has only {self.device.size} bytes; give a disk or a whole disk image")
        unreadable = [finding.message for finding in state.findings if finding.code == "unreadable"]
        if unreadable:
            return CorruptGptError(self.path, "; ".join(unreadable))
        other = read_state(SectorCache(self.device), None) if self.device.sector_size else state
        if other.has_signature:
            damaged = "" if other.table else "a damaged "
            return NotGptError(
                self.path,
                f"there is {damaged}one for {other.sector_size}-byte sectors on this disk of {state.sector_size}-byte "
                "sectors; make the image for the sector size of the disk",
            )
        detail = f"no 'EFI PART' in sector 1 or in the last one of its {state.total_sectors} sectors"
        return NotGptError(self.path, f"{detail}; create one with 'gptctl create' if the disk is to be wiped")

    def write(self, table: Table) -> Sequence[Epoch]:
        """Make ``table`` the table of the disk, in the order of ``gptlib.write.plan``, and repair what was damaged.

        Returns what was written: nothing when nothing changes. After a power cut or WriteError at any point the disk
        holds the old or the new table for every reader. For that the backup must be where all of them look: a change of a
        disk that was grown or shrunk moves it to the end. Raises TableError, TruncatedDiskError, PartitionInUseError and
        ReadOnlyError (nothing written), WriteError, and KernelError when the kernel would not take over a new partition.
        """
        state = self._state or self.read()
        self._refuse_legacy(state)
        old = _table_of(state)
        if (table.sector_size, table.total_sectors) != (state.sector_size, state.total_sectors):
            raise TableError(
                f"{self.path}: the table is for {table.total_sectors} sectors of {table.sector_size} bytes, the disk has "
                f"{state.total_sectors} of {state.sector_size}"
            )
        if table != old and table.backup_lba == old.backup_lba and _may_move(state, old):
            table = self._settled(table, state)
        if BACKUP in state.left_alone and old.backup_lba >= state.total_sectors:
            # Its place is gone, and where it would go now something else stands.
            self._refuse_occupied(state, state.left_alone)
        moved = table.backup_lba != old.backup_lba
        if moved and state.end_signature:
            raise TableError(
                f"{self.path}: the backup cannot move, as the disk ends with {state.end_signature}; nothing was written"
            )
        # A boot sector without partitions may be that of anybody: only 'repair' puts the record into it.
        absent = len(state.mbr) == MBR_BYTES and not has_signature(state.mbr) and in_partition(old, 0, 0) is None
        protect = absent or (moved and state.mbr_kind == PROTECTIVE)
        mbr = protective_mbr(state.mbr, table.total_sectors) if protect else None
        occupied = _occupied(state, moved=moved)
        self.notices = _notices(state, occupied)
        return self._write(state, table, mbr, mbr_first=absent, left_alone={*_ignored(state), *occupied})

    def create(self, table: Table, *, mbr: bytes | None = None) -> Sequence[Epoch]:
        """Write a new table, whatever the disk holds now, and last the MBR: a protective one, or the 512 bytes given.

        Boot code stays, unless ``mbr`` brings its own. A table that can be read now is kept readable until the new one is. Errors as ``write``.
        """
        state = self._state or self.examine()
        size = self.device.sector_size or table.sector_size
        total = self.device.size // size
        if (table.sector_size, table.total_sectors) != (size, total):
            raise TableError(
                f"{self.path}: the table is for {table.total_sectors} sectors of {table.sector_size} bytes, the disk has "
                f"{total} of {size}"
            )
        return self._write(state, table, mbr or protective_mbr(state.mbr, total), left_alone=_ignored(state))

    def repair(self, *, force: bool = False) -> Sequence[Epoch]:
        """Write what is damaged again, and move the backup to the end of a disk that was grown or shrunk.

        The old table can be read throughout. Raises as ``write``; TruncatedDiskError when partitions lie beyond the end;
        TableError when something that is not ours stands where a copy would be written, unless it is to go by ``force``.
        Where the disk ends with another format's signature, only what is damaged is written, in its own place.
        """
        state = self._state or self.read()
        self._refuse_legacy(state)
        table = self._settled(_table_of(state), state, force=force)
        moved = table.backup_lba != _table_of(state).backup_lba
        check_outside_partitions(self.path, table, _ignored(state))
        if not force:
            self._refuse_occupied(state, _occupied(state, moved=moved))
        else:
            state = state._replace(left_alone=())
        absent = state.mbr_kind == ABSENT and len(state.mbr) == MBR_BYTES
        wanted = absent or (moved and state.mbr_kind == PROTECTIVE)
        mbr = protective_mbr(state.mbr, state.total_sectors) if wanted else None
        return self._write(state, table, mbr, mbr_first=absent, left_alone=_ignored(state))

    def _refuse_occupied(self, state: State, occupied: Collection[str]) -> None:
        for finding in state.findings:
            if finding.code == "occupied" and finding.where in occupied:
                raise TableError(f"{self.path}: {finding.where}: {finding.message}; nothing was written")
        if state.end_signature and not _is_damaged(state):
            raise TableError(
                f"{self.path}: the backup belongs into the last sector, but the disk ends with {state.end_signature}; nothing "
                "was written ('gptctl repair --force' writes over it)"
            )

    def _settled(self, table: Table, state: State, *, force: bool = False) -> Table:
        """The table with its backup at the end of the disk. Raises as ``Table.relocate``, or TruncatedDiskError."""
        if table.backup_lba == state.total_sectors - 1 or state.backup.ignored or (state.end_signature and not force):
            return table
        try:
            return table.relocate(state.total_sectors)
        except TableError:
            check_places(self.path, table)
            raise

    def erase(self) -> Sequence[Epoch]:
        """Zero both copies, so that there is no table any more; the MBR stays.

        Raises ReadOnlyError, PartitionInUseError, TableError where a copy lies in a partition (nothing written), WriteError and KernelError.
        """
        from gptlib.write.erase import plan_erase

        state = self._state or self.examine()
        self._check_writable()
        fd = self._block_fd()
        if fd is None or not state.has_signature:
            return self._carry_out(plan_erase(state), state)
        none = Table.new(total_sectors=state.total_sectors, sector_size=state.sector_size, entry_count=1)
        check_unused(fd, self.path, none)
        epochs = self._carry_out(plan_erase(state), state)
        self.tell_kernel(none)
        return epochs

    def write_mbr(self, block: bytes) -> Sequence[Epoch]:
        """Write the first 512 bytes of the disk, and nothing else. Raises ReadOnlyError, TableError where a partition starts there, and WriteError."""
        if len(block) != MBR_BYTES:
            raise InvalidValueError(f"an MBR has {MBR_BYTES} bytes, not {len(block)}")
        state = self._state or self.examine()
        self._check_writable()
        return self._carry_out([[(0, block)]], state)

    def set_legacy(self, mode: Literal["legacy", "ignore-primary", "efi-part"]) -> Sequence[Epoch]:
        """Switch to one of ChromeOS's modes: ``legacy``, ``ignore-primary`` or, back again, ``efi-part``.

        Raises as ``read``; TableError where the backup, the only table of both modes, is not valid or not where it is looked
        for, and where something that is not ours stands in the place of a copy; WriteError.
        """
        from gptlib.write.legacy import plan_mode

        state = self._state or self.read()
        self._check_writable()
        return self._carry_out(plan_mode(self.path, self._cache or SectorCache(self.device), state, mode), state)

    def extend(self, size: int) -> None:
        """Make an image file ``size`` bytes long, with a hole at its end. Raises WriteError; TypeError for a device."""
        self._check_writable()
        self.device.extend(size)
        self._state = self._cache = None

    def _refuse_legacy(self, state: State) -> None:
        if state.is_legacy:
            raise TableError(f"{self.path}: the table is in ChromeOS's legacy mode; leave it first (gptctl legacy -e)")

    def _check_writable(self) -> None:
        if not self.writable:
            raise ReadOnlyError(self.path, "it was opened for reading only")

    def _write(
        self, state: State, new: Table, mbr: bytes | None, *, mbr_first: bool = False, left_alone: Collection[str]
    ) -> Sequence[Epoch]:
        self._check_writable()
        if _ignored(state) == {PRIMARY, BACKUP}:
            raise TableError(f"{self.path}: both copies are marked IGNOREME (ChromeOS), which means hands off")
        if len(left_alone) == 2:
            raise TableError(
                f"{self.path}: neither copy may be written ('gptctl verify' tells why); nothing was written"
            )
        if state.table is None or places(state.table) != places(new):
            check_room(self.path, new)
        check_places(self.path, new, left_alone, _ignored(state))
        epochs = self._plan(state, new, None if mbr_first and PRIMARY in left_alone else mbr, mbr_first, left_alone)
        check_writes(self.path, new, epochs)
        fd = self._block_fd()
        moved = fd is not None and _extents(state.table) != _extents(new)
        if fd is not None and moved:
            check_unused(fd, self.path, new)
        self._execute(epochs, new.sector_size)
        if moved:
            self.tell_kernel(new)
        return epochs

    def _plan(
        self, state: State, new: Table, mbr: bytes | None, mbr_first: bool, left_alone: Collection[str]
    ) -> Sequence[Epoch]:
        cache, size = self._cache or SectorCache(self.device), new.sector_size
        read, old = cache.sectors(size), state.table if state.sector_size == size else None
        stale_headers: Sequence[Region] = ()
        if mbr is not None:
            from gptlib.write.stale_headers import find_stale_headers

            stale_headers = find_stale_headers(cache, new, *([old] if mbr_first and old is not None else []))
        if old is not None and state.findings and (left_alone or state.left_alone or not is_writable(old)):
            from gptlib.write.salvage import plan_salvage

            steps = plan_salvage(self.path, state, old, new, left_alone)
            return plan_regions(read, size, [stale_headers, *steps, [] if mbr is None else [(0, mbr)]])
        apart = state.table is not None and state.table.array_shape != new.array_shape
        return plan_write(
            read,
            old,
            new,
            sound=not state.findings,
            ignored=left_alone,
            mbr=mbr,
            mbr_first=mbr_first,
            stale_headers=stale_headers,
            apart=apart,
        )

    def _carry_out(self, steps: Iterable[Iterable[Region]], state: State) -> Sequence[Epoch]:
        cache, size = self._cache or SectorCache(self.device), state.sector_size
        epochs = plan_regions(cache.sectors(size), size, steps)
        if state.table is not None:
            check_writes(self.path, state.table, epochs)
        return self._execute(epochs, size)

    def _execute(self, epochs: Sequence[Epoch], sector_size: int) -> Sequence[Epoch]:
        self._state = self._cache = None
        for epoch in epochs:
            for write in epoch:
                self.device.write(write.lba * sector_size, write.data)
            self.device.flush()
        return epochs

    def tell_kernel(self, table: Table) -> None:
        """Make the kernel see the partitions of ``table``. Raises KernelError. Image files have no such view."""
        fd = self._block_fd()
        if fd is not None:
            sync_kernel(fd, self.path, table)

    def _block_fd(self) -> int | None:
        return self.device.fd if isinstance(self.device, BlockDevice) else None


def _ignored(state: State) -> set[str]:
    return {copy.where for copy in (state.primary, state.backup) if copy.ignored}


def _may_move(state: State, old: Table) -> bool:
    """Whether the other copy can be the table for as long as the backup moves: there is one, and it has a place."""
    if old.backup_lba == state.total_sectors - 1:
        return True
    is_free = is_outside_partitions(old) or old.backup_lba >= state.total_sectors
    return PRIMARY not in state.left_alone and is_free


def _is_damaged(state: State) -> bool:
    """Whether there is something to repair but for the place of the backup."""
    return not (state.primary.valid and state.backup.valid) or any(f.code == "copies-differ" for f in state.findings)


def _occupied(state: State, *, moved: bool) -> set[str]:
    """The copies that are left alone by a write which moves the backup to the end of the disk, or does not."""
    return set(state.left_alone) - ({BACKUP} if moved and _has_place(state) else set())


def _has_place(state: State) -> bool:
    """Whether the disk reaches as far as the backup: else what was found is what stands where it would go."""
    return state.table is not None and state.table.backup_lba < state.total_sectors


def _notices(state: State, occupied: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{f.where}: {f.message}" for f in state.findings if f.code == "occupied" and f.where in occupied)


def _extents(table: Table | None) -> dict[int, tuple[int, int]] | None:
    return table and {n: (p.first_lba, p.last_lba) for n, p in table.partitions.items()}


def _table_of(state: State) -> Table:
    if state.table is None:
        raise TypeError("Disk.read() gives a table or raises")
    return state.table
