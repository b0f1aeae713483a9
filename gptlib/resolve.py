"""What a target on a command line stands for: a disk, a partition node of a disk, or an image file."""

from __future__ import annotations

import os

from gptlib._files import base_name, exists, parent, read_text, real_path, status
from gptlib._record import Record
from gptlib.errors import TargetError

_SYSFS = "/sys/dev/block"


class Target(Record):
    """A disk or image file, and the number of the partition when the target was the node of one."""

    path: str
    partition: int | None = None


def _attribute(directory: str, name: str) -> str | None:
    try:
        return read_text(f"{directory}/{name}").strip()
    except FileNotFoundError:
        return None


def resolve_target(path: str, *, sysfs: str = _SYSFS, dev: str = "/dev") -> Target:
    """Find the disk of a partition node by way of sysfs; anything else is its own target.

    Raises TargetError when nothing has that name or the disk of a partition has no node.
    """
    try:
        found = status(path)
    except OSError as error:
        raise TargetError(path, f"cannot be opened: {error.strerror}") from error
    if found.st_mode & 0o170000 != 0o060000:
        return Target(path)
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    entry = real_path(f"{sysfs}/{number}")
    index = _attribute(entry, "partition")
    if index is None:
        return Target(path)
    # Names with a slash (cciss/c0d0) have a '!' in sysfs.
    disk = f"{dev}/{base_name(parent(entry)).replace('!', '/')}"
    if not exists(disk):
        raise TargetError(path, f"is partition {index} of {disk}, which has no device node")
    return Target(disk, int(index))
