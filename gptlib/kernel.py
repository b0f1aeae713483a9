"""Tells the kernel what changed in the table of a disk that is in use.

BLKRRPART fails as long as one partition is mounted, so each partition that changed is told on its own (BLKPG). A
change of attributes, label or GUID needs nothing: the kernel does not look at them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from struct import pack

from gptlib._files import base_name, exists, names_in, read_text, real_path
from gptlib._record import Record
from gptlib.errors import GptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table import Table

# linux/blkpg.h
BLKPG, ADD, DELETE, RESIZE = 0x1269, 1, 2, 3
_SYSFS_SECTOR = 512
_SYSFS = "/sys/dev/block"


class KernelError(GptError):
    """The kernel would not take over a changed partition. The table on the disk is the new one."""

    def __init__(self, path: str, index: int, reason: str) -> None:
        super().__init__(
            f"{path}: the kernel keeps the old partition {index} ({reason}); it sees the new one after a reboot"
        )
        self.path, self.index = path, index


class PartitionInUseError(GptError):
    """A partition that would be removed or moved is mounted or held otherwise. Nothing was written."""

    def __init__(self, path: str, index: int) -> None:
        super().__init__(f"{path}: partition {index} is in use and cannot be removed or moved; unmount it first")
        self.path, self.index = path, index


class Extent(Record):
    """Place of a partition in bytes from the start of the disk."""

    start: int
    length: int


class Step(Record):
    """One call of BLKPG."""

    operation: int
    number: int
    extent: Extent


def kernel_view(rdev: int, *, sysfs: str = _SYSFS) -> dict[int, Extent] | None:
    """The partitions that the kernel knows of the disk with this device number, or None where sysfs does not tell."""
    disk = f"{sysfs}/{os.major(rdev)}:{os.minor(rdev)}"
    if not exists(disk):
        return None
    known = {}
    for name in names_in(disk):
        values = []
        for attribute in ("partition", "start", "size"):
            path = f"{disk}/{name}/{attribute}"
            if not exists(path):
                break
            values.append(int(read_text(path)))
        else:
            known[values[0]] = Extent(values[1] * _SYSFS_SECTOR, values[2] * _SYSFS_SECTOR)
    return known


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


def check_unused(fd: int, path: str, table: Table, *, sysfs: str = _SYSFS, dev: str = "/dev") -> None:
    """Refuse a table that takes a partition away from whoever uses it. Raises PartitionInUseError."""
    rdev = os.fstat(fd).st_rdev
    for step in plan_sync(kernel_view(rdev, sysfs=sysfs) or {}, table):
        if step.operation == DELETE and _in_use(f"{dev}/{_node_name(rdev, step.number, sysfs)}"):
            raise PartitionInUseError(path, step.number)


def _node_name(rdev: int, number: int, sysfs: str) -> str:
    disk = real_path(f"{sysfs}/{os.major(rdev)}:{os.minor(rdev)}")
    name = base_name(disk)
    # Names with a slash (cciss/c0d0) have a '!' in sysfs; those that end in a digit get a 'p'.
    return f"{name.replace('!', '/')}{'p' if name[-1].isdigit() else ''}{number}"


def _in_use(node: str) -> bool:
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def sync_kernel(fd: int, path: str, table: Table) -> list[Step]:
    """Bring the kernel's view of an open disk into line and say what was told. Raises KernelError.

    Where sysfs does not tell what the kernel knows (it is not mounted), nothing is done.
    """
    known = kernel_view(os.fstat(fd).st_rdev)
    steps = [] if known is None else list(plan_sync(known, table))
    for step in steps:
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
