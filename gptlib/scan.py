"""The disks of this machine."""

from __future__ import annotations

from stat import S_ISBLK

from gptlib._files import is_link, read_text, status

_PARTITIONS, _SYSFS, _DEV = "/proc/partitions", "/sys/block", "/dev"


def whole_disks(*, partitions: str = _PARTITIONS, sysfs: str = _SYSFS, dev: str = _DEV) -> list[str]:
    """Nodes of the real disks, in the order of ``/proc/partitions``: those that stand for a device, not for a part of one.

    Loop devices, RAM disks and device-mapper targets are no real disks and left out, as cgpt does.
    """
    try:
        lines = [line.split() for line in read_text(partitions).splitlines()]
    except FileNotFoundError:
        return []
    names = [line[3] for line in lines if len(line) == 4 and line[0].isdigit()]
    # Names with a slash (cciss/c0d0) have a '!' in sysfs.
    real = [name for name in names if is_link(f"{sysfs}/{name.replace('/', '!')}/device")]
    return [f"{dev}/{name}" for name in real if _is_block_device(f"{dev}/{name}")]


def _is_block_device(path: str) -> bool:
    try:
        return S_ISBLK(status(path).st_mode)
    except FileNotFoundError:
        return False
