"""What a target on a command line stands for: a disk, a partition node of a disk, or an image file."""

from __future__ import annotations

from stat import S_ISBLK

from gptlib._files import is_link, real_path, status
from gptlib._record import Record
from gptlib.errors import TargetError
from gptlib.linux.nodes import DEV, SYSFS, entry_of, member_of, node_name, node_of


class Target(Record):
    """A disk or image file, and the number of the partition when the target was the node of one."""

    path: str
    partition: int | None = None


def resolve_target(path: str, *, sysfs: str = SYSFS, dev: str = DEV) -> Target:
    """Find the device that a name stands for, once: from here on no link is followed and nothing is made from its name.

    A disk becomes the node that the kernel gave it, so that lock and identity are those of the device under whatever name it
    is called; a partition node becomes its disk and a number; a link to an image file becomes the file.

    Raises TargetError when nothing has that name or the disk of a partition has no node.
    """
    try:
        found = status(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TargetError(path, f"cannot be opened: {reason}") from error
    if not S_ISBLK(found.st_mode):
        return Target(real_path(path) if is_link(path) else path)
    entry = entry_of(found.st_rdev, sysfs=sysfs)
    if entry is None:
        return Target(real_path(path))
    member = member_of(entry)
    if member is None:
        return Target(node_of(entry, dev=dev) or real_path(path))
    node = node_of(member.disk, dev=dev)
    if node is None:
        disk = node_name(member.disk, dev=dev)
        raise TargetError(path, f"is partition {member.number} of {disk}, which has no device node")
    return Target(node, member.number)
