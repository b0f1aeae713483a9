"""The disks of this machine, as cgpt finds them."""

from __future__ import annotations

from stat import S_ISBLK

from gptlib._files import read_text, status
from gptlib.linux.nodes import DEV, SYS_BLOCK, RealDisk, real_disk, sysfs_name

_PARTITIONS = "/proc/partitions"


def real_disks(*, partitions: str = _PARTITIONS, sysfs: str = SYS_BLOCK, dev: str = DEV) -> list[RealDisk]:
    """The real disks, in the order of ``/proc/partitions``: those that stand for a device, not for a part of one.

    Loop devices, RAM disks and device-mapper targets are not real disks and are left out, as cgpt does; so is a disk that has no
    node (a single path of an NVMe disk with several is hidden).
    """
    try:
        lines = [line.split() for line in read_text(partitions).splitlines()]
    except FileNotFoundError:
        return []
    names = [line[3] for line in lines if len(line) == 4 and line[0].isdigit()]
    found = [real_disk(f"{sysfs}/{sysfs_name(name)}", dev=dev) for name in names]
    return [disk for disk in found if disk is not None and _is_block_device(disk.path)]


def whole_disks(*, partitions: str = _PARTITIONS, sysfs: str = SYS_BLOCK, dev: str = DEV) -> list[str]:
    """The nodes of ``real_disks``."""
    return [disk.path for disk in real_disks(partitions=partitions, sysfs=sysfs, dev=dev)]


def _is_block_device(path: str) -> bool:
    try:
        return S_ISBLK(status(path).st_mode)
    except FileNotFoundError:
        return False
