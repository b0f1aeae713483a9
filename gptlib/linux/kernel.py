"""Tells the kernel what changed in the table of a disk that is in use.

BLKRRPART fails as long as one partition is mounted, so each partition that changed is told on its own (BLKPG). A
change of attributes, label or GUID needs nothing: the kernel does not look at them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from struct import pack

from gptlib._files import exists
from gptlib._record import Record
from gptlib.errors import GptError
from gptlib.linux.nodes import DEV, SYSFS, attribute, entry_of, member_of, node_of, partitions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table.table import Table

# linux/blkpg.h
BLKPG, ADD, DELETE, RESIZE = 0x1269, 1, 2, 3
_SYSFS_SECTOR = 512


class KernelError(GptError):
    """The kernel would not take over a changed partition. The table on the disk is the new one."""

    def __init__(self, path: str, index: int, reason: str) -> None:
        super().__init__(
            f"{path}: the kernel keeps the old partition {index} ({reason}); it sees the new one after a reboot"
        )
        self.path, self.index = path, index


class PartitionInUseError(GptError):
    """A partition that would be removed, moved or made smaller is mounted or held otherwise. Nothing was written."""

    def __init__(self, path: str, index: int, change: str) -> None:
        super().__init__(f"{path}: partition {index} is in use and cannot be {change}; unmount it first")
        self.path, self.index = path, index


class StaleViewError(GptError):
    """The kernel has a partition in another place than the table. Nothing was written."""

    def __init__(self, path: str, index: int, known: str, wanted: str) -> None:
        super().__init__(
            f"{path}: partition {index} is {wanted} in the table, but the kernel has it as {known}: what is written through its "
            f"node would go elsewhere; make the kernel read the table again (gptctl repair {path}, or a reboot)"
        )
        self.path, self.index, self.known, self.wanted = path, index, known, wanted


class Extent(Record):
    """Place of a partition in bytes from the start of the disk."""

    start: int
    length: int


class Step(Record):
    """One call of BLKPG."""

    operation: int
    number: int
    extent: Extent


def kernel_view(rdev: int, *, sysfs: str = SYSFS) -> dict[int, Extent] | None:
    """The partitions that the kernel knows of the disk with this device number.

    None where sysfs does not tell, and for a disk of the device mapper, whose partitions are devices that kpartx makes.
    """
    entry = entry_of(rdev, sysfs=sysfs)
    if entry is None or exists(f"{entry}/dm"):
        return None
    found = {number: extent_of(folder) for number, folder in partitions_of(entry)}
    return {number: extent for number, extent in found.items() if extent is not None}


def extent_of(folder: str) -> Extent | None:
    """The place of the partition with this folder in sysfs; None where it is only half there."""
    start, size = attribute(folder, "start"), attribute(folder, "size")
    return None if start is None or size is None else Extent(int(start) * _SYSFS_SECTOR, int(size) * _SYSFS_SECTOR)


def check_view(path: str, disk: int, node: int, table: Table, number: int, *, sysfs: str = SYSFS) -> None:
    """Refuse the open node of a partition that is not partition ``number`` of the open disk, where the table has it.

    ``disk`` and ``node`` are device numbers, of the open files and not of names. Raises StaleViewError.
    """
    partition, size = table.partition(number), table.sector_size
    wanted = Extent(partition.first_lba * size, partition.sectors * size)
    entry = entry_of(node, sysfs=sysfs)
    member = None if entry is None else member_of(entry)
    if entry is None or member is None or (member.disk, member.number) != (entry_of(disk, sysfs=sysfs), number):
        raise StaleViewError(path, number, "another device", _in_words(wanted, size))
    known = extent_of(entry) or _mapped_extent(entry, node, disk)
    if known != wanted:
        raise StaleViewError(path, number, _in_words(known, size), _in_words(wanted, size))


def _mapped_extent(entry: str, node: int, disk: int) -> Extent | None:
    from gptlib.linux.mapper import linear_start

    start, size = linear_start(node, disk), attribute(entry, "size")
    return None if start is None or size is None else Extent(start * _SYSFS_SECTOR, int(size) * _SYSFS_SECTOR)


def _in_words(extent: Extent | None, size: int) -> str:
    if extent is None:
        return "a part of the disk that it does not tell"
    first, rest = divmod(extent.start, size)
    count, more = divmod(extent.length, size)
    if rest or more:
        return f"bytes {extent.start} to {extent.start + extent.length - 1}"
    return f"sectors {first} to {first + count - 1}"


def plan_sync(known: dict[int, Extent], table: Table) -> Iterator[Step]:
    """What to tell the kernel: removals first, then changes of size, then additions. Whatever agrees is left alone."""
    size = table.sector_size
    wanted = {n: Extent(p.first_lba * size, p.sectors * size) for n, p in table.partitions.items() if p.sectors > 0}
    gone = {n for n, extent in known.items() if n not in wanted or wanted[n].start != extent.start}
    for index in sorted(gone):
        yield Step(DELETE, index, known[index])
    for index in sorted(known.keys() - gone):
        if wanted[index] != known[index]:
            yield Step(RESIZE, index, wanted[index])
    for index in sorted(wanted.keys() - (known.keys() - gone)):
        yield Step(ADD, index, wanted[index])


def check_unused(fd: int, path: str, table: Table, *, sysfs: str = SYSFS, dev: str = DEV) -> None:
    """Refuse a table that takes a partition, or the end of one, away from whoever uses it. Raises PartitionInUseError.

    Growing a partition in use is allowed: whoever uses it goes on using the part that it knows.
    """
    rdev = os.fstat(fd).st_rdev
    known = kernel_view(rdev, sysfs=sysfs) or {}
    for step in plan_sync(known, table):
        change = _taken_away(step, known)
        if change and _in_use(rdev, step.number, sysfs, dev):
            raise PartitionInUseError(path, step.number, change)


def _taken_away(step: Step, known: dict[int, Extent]) -> str:
    """What a step takes from the users of a partition, in words; empty where that is nothing."""
    if step.operation == DELETE:
        return "removed or moved"
    if step.operation == RESIZE and step.extent.length < known[step.number].length:
        return f"made smaller (from {known[step.number].length} to {step.extent.length} bytes)"
    return ""


def _in_use(rdev: int, number: int, sysfs: str, dev: str) -> bool:
    """Whether somebody has claimed the partition. One that cannot be asked, for want of a node, counts as claimed."""
    folder = dict(partitions_of(entry_of(rdev, sysfs=sysfs) or "")).get(number)
    node = None if folder is None else node_of(folder, dev=dev)
    if node is None:
        return folder is not None
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def sync_kernel(fd: int, path: str, table: Table) -> list[Step]:
    """Bring the kernel's view of an open disk into line and say what was told. Raises KernelError.

    Where sysfs does not tell what the kernel knows (it is not mounted), nothing is done.
    """
    rdev = os.fstat(fd).st_rdev
    known = kernel_view(rdev)
    steps = [] if known is None else list(plan_sync(known, table))
    for step in steps:
        # The kernel itself refuses to remove what is in use, but cuts off the end of what is mounted.
        change = _taken_away(step, known or {}) if step.operation == RESIZE else ""
        if change and _in_use(rdev, step.number, SYSFS, DEV):
            raise KernelError(path, step.number, f"it is in use and cannot be {change}")
        _blkpg(fd, path, step)
    return steps


def _blkpg(fd: int, path: str, step: Step) -> None:
    # Imported here: array brings collections with it, and a boot seldom comes this way.
    from array import array

    # struct blkpg_partition {long long start, length; int pno; char devname[64], volname[64];} and its pointer in
    # struct blkpg_ioctl_arg {int op, flags, datalen; void *data;}. array gives an address without loading ctypes.
    partition = array("B", pack("@qqi64x64x4x", step.extent.start, step.extent.length, step.number))
    address, length = partition.buffer_info()
    try:
        fcntl.ioctl(fd, BLKPG, pack("@iiiP", step.operation, 0, length, address))
    except OSError as error:
        if step.operation == DELETE and error.errno == errno.ENXIO:
            return
        raise KernelError(path, step.number, error.strerror or str(error)) from error
