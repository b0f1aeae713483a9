"""The disks of this machine."""

from __future__ import annotations

from stat import S_ISBLK

from gptlib._files import exists, read_text, status
from gptlib._record import Record
from gptlib.linux.nodes import DEV, attribute, sysfs_name

_PARTITIONS, _SYSFS = "/proc/partitions", "/sys/block"


class RealDisk(Record):
    """A disk with hardware behind it: its node, and whether its medium can be taken out."""

    path: str
    removable: bool


def real_disks(*, partitions: str = _PARTITIONS, sysfs: str = _SYSFS, dev: str = DEV) -> list[RealDisk]:
    """The real disks, in the order of ``/proc/partitions``: those that stand for a device, not for a part of one.

    Loop devices, RAM disks and device-mapper targets are no real disks and left out, as cgpt does; so is a disk that has no
    node (a single path of an NVMe disk with several is hidden).
    """
    try:
        lines = [line.split() for line in read_text(partitions).splitlines()]
    except FileNotFoundError:
        return []
    names = [line[3] for line in lines if len(line) == 4 and line[0].isdigit()]
    return [
        RealDisk(f"{dev}/{name}", attribute(f"{sysfs}/{sysfs_name(name)}", "removable") == "1")
        for name in names
        if exists(f"{sysfs}/{sysfs_name(name)}/device") and _is_block_device(f"{dev}/{name}")
    ]


def whole_disks(*, partitions: str = _PARTITIONS, sysfs: str = _SYSFS, dev: str = DEV) -> list[str]:
    """The nodes of ``real_disks``."""
    return [disk.path for disk in real_disks(partitions=partitions, sysfs=sysfs, dev=dev)]


def _is_block_device(path: str) -> bool:
    try:
        return S_ISBLK(status(path).st_mode)
    except FileNotFoundError:
        return False
