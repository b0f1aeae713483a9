"""The writes of a whole table: what ``Disk.write``, ``create`` and ``repair`` do. The order of the sectors: ``gptlib.write.plan``."""

from __future__ import annotations

from gptlib.errors import TableError
from gptlib.layout.compiled import MBR_SIZE
from gptlib.table.mbr import ABSENT, PROTECTIVE, has_signature, protective_mbr
from gptlib.table.structures import BACKUP, PRIMARY
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
    from collections.abc import Collection, Sequence

    from gptlib.disk import Disk
    from gptlib.read.state import Examination, State
    from gptlib.table.table import Table
    from gptlib.write.plan import Epoch, Region


def write_table(disk: Disk, table: Table) -> Sequence[Epoch]:
    """Do what ``Disk.write`` says."""
    state = disk.state
    _refuse_legacy(disk, state)
    old = state.table
    if (table.sector_size, table.total_sectors) != (state.sector_size, state.total_sectors):
        raise TableError(
            f"{disk.path}: the table is for {table.total_sectors} sectors of {table.sector_size} bytes, the disk has "
            f"{state.total_sectors} of {state.sector_size}"
        )
    if table != old and table.backup_lba == old.backup_lba and _may_move(state, old):
        table = _settled(disk, table, state)
    if BACKUP in state.left_alone and old.backup_lba >= state.total_sectors:
        # Its place is gone, and where it would go now something else stands.
        _refuse_occupied(disk, state, state.left_alone)
    moved = table.backup_lba != old.backup_lba
    if moved and state.end_signature:
        raise TableError(
            f"{disk.path}: the backup cannot move, as the disk ends with {state.end_signature}; nothing was written"
        )
    # A boot sector without partitions may be that of anybody: only 'repair' puts the record into it.
    absent = len(state.mbr) == MBR_SIZE and not has_signature(state.mbr) and in_partition(old, 0, 0) is None
    protect = absent or (moved and state.mbr_kind == PROTECTIVE)
    mbr = protective_mbr(state.mbr, table.total_sectors) if protect else None
    occupied = _occupied(state, moved=moved)
    disk.notices = _notices(state, occupied)
    return _write(disk, state, table, mbr, mbr_first=absent, left_alone={*_ignored(state), *occupied})


def create_table(disk: Disk, table: Table, *, mbr: bytes | None = None) -> Sequence[Epoch]:
    """Do what ``Disk.create`` says."""
    found = disk.examination
    size = disk.device.sector_size or table.sector_size
    total = disk.device.size // size
    if (table.sector_size, table.total_sectors) != (size, total):
        raise TableError(
            f"{disk.path}: the table is for {table.total_sectors} sectors of {table.sector_size} bytes, the disk has "
            f"{total} of {size}"
        )
    return _write(disk, found, table, mbr or protective_mbr(found.mbr, total), left_alone=_ignored(found))


def repair_table(disk: Disk, *, force: bool = False) -> Sequence[Epoch]:
    """Do what ``Disk.repair`` says."""
    state = disk.state
    _refuse_legacy(disk, state)
    table = _settled(disk, state.table, state, force=force)
    moved = table.backup_lba != state.table.backup_lba
    check_outside_partitions(disk.path, table, _ignored(state))
    if not force:
        _refuse_occupied(disk, state, _occupied(state, moved=moved))
    else:
        state = state._replace(left_alone=())
    absent = state.mbr_kind == ABSENT and len(state.mbr) == MBR_SIZE
    wanted = absent or (moved and state.mbr_kind == PROTECTIVE)
    mbr = protective_mbr(state.mbr, state.total_sectors) if wanted else None
    return _write(disk, state, table, mbr, mbr_first=absent, left_alone=_ignored(state))


def _refuse_occupied(disk: Disk, state: State, occupied: Collection[str]) -> None:
    for finding in state.findings:
        if finding.code == "occupied" and finding.where in occupied:
            raise TableError(f"{disk.path}: {finding.where}: {finding.message}; nothing was written")
    if state.end_signature and not _is_damaged(state):
        raise TableError(
            f"{disk.path}: the backup belongs into the last sector, but the disk ends with {state.end_signature}; nothing "
            "was written ('gptctl repair --force' writes over it)"
        )


def _settled(disk: Disk, table: Table, state: State, *, force: bool = False) -> Table:
    """The table with its backup at the end of the disk. Raises as ``Table.relocate``, or TruncatedDiskError."""
    if table.backup_lba == state.total_sectors - 1 or state.backup.ignored or (state.end_signature and not force):
        return table
    try:
        return table.relocate(state.total_sectors)
    except TableError:
        check_places(disk.path, table)
        raise


def _refuse_legacy(disk: Disk, state: State) -> None:
    if state.is_legacy:
        raise TableError(f"{disk.path}: the table is in ChromeOS's legacy mode; leave it first (gptctl legacy -e)")


def _write(
    disk: Disk,
    found: Examination,
    new: Table,
    mbr: bytes | None,
    *,
    mbr_first: bool = False,
    left_alone: Collection[str],
) -> Sequence[Epoch]:
    disk.check_writable()
    if _ignored(found) == {PRIMARY, BACKUP}:
        raise TableError(f"{disk.path}: both copies are marked IGNOREME (ChromeOS), which means hands off")
    if len(left_alone) == 2:
        raise TableError(f"{disk.path}: neither copy may be written ('gptctl verify' tells why); nothing was written")
    if found.table is None or places(found.table) != places(new):
        check_room(disk.path, new)
    check_places(disk.path, new, left_alone, _ignored(found))
    epochs = _plan(disk, found, new, None if mbr_first and PRIMARY in left_alone else mbr, mbr_first, left_alone)
    check_writes(disk.path, new, epochs)
    fd = disk.block_fd
    moved = fd is not None and _extents(found.table) != _extents(new)
    if fd is not None and moved:
        from gptlib.linux.kernel import check_unused

        check_unused(fd, disk.path, new)
    disk.write_epochs(epochs, new.sector_size)
    if moved:
        disk.tell_kernel(new)
    return epochs


def _plan(
    disk: Disk, found: Examination, new: Table, mbr: bytes | None, mbr_first: bool, left_alone: Collection[str]
) -> Sequence[Epoch]:
    cache, size = disk.cache, new.sector_size
    read, old = cache.sectors(size), found.table if found.sector_size == size else None
    stale_headers: Sequence[Region] = ()
    if mbr is not None:
        from gptlib.write.stale_headers import find_stale_headers

        stale_headers = find_stale_headers(cache, new, *([old] if mbr_first and old is not None else []))
    if old is not None and found.findings and (left_alone or found.left_alone or not is_writable(old)):
        from gptlib.write.salvage import plan_salvage

        steps = plan_salvage(disk.path, found, old, new, left_alone)
        return plan_regions(read, size, [stale_headers, *steps, [] if mbr is None else [(0, mbr)]])
    apart = found.table is not None and found.table.array_shape != new.array_shape
    return plan_write(
        read,
        old,
        new,
        sound=not found.findings,
        ignored=left_alone,
        mbr=mbr,
        mbr_first=mbr_first,
        stale_headers=stale_headers,
        apart=apart,
    )


def _ignored(found: Examination) -> set[str]:
    return {copy.where for copy in (found.primary, found.backup) if copy.ignored}


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
    return state.table.backup_lba < state.total_sectors


def _notices(state: State, occupied: Collection[str]) -> tuple[str, ...]:
    return tuple(f"{f.where}: {f.message}" for f in state.findings if f.code == "occupied" and f.where in occupied)


def _extents(table: Table | None) -> dict[int, tuple[int, int]] | None:
    return table and {n: (p.first_lba, p.last_lba) for n, p in table.partitions.items()}
