"""Disks and their partitions by device number: their folders in sysfs and their nodes in /dev.

The kernel says which node is which partition of which disk. A name never does: ``ssd2`` may be a link to another disk,
``/dev/nvme0n1`` ends in a digit, and what is called ``cciss/c0d0`` in /dev is ``cciss!c0d0`` in sysfs.
"""

from __future__ import annotations

import os
from stat import S_ISBLK

from gptlib._files import base_name, exists, names_in, parent, read_text, real_path, status
from gptlib._record import Record
from gptlib.errors import GptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SYSFS, SYS_BLOCK, DEV = "/sys/dev/block", "/sys/block", "/dev"
_HARDWARE, _ARRAY = "device", "md"
"""Folders that sysfs has below a disk that stands for a device, and below an array of md."""
_MAPPED_PARTITION = "part"
"""kpartx and libdevmapper's users call a mapped partition N of a device with the identity ID ``partN-ID`` (dm/uuid)."""


class NoNodeError(GptError):
    """The kernel shows no such partition of the disk, or there is no node for it. Nothing was written."""

    def __init__(self, path: str, number: int, problem: str) -> None:
        super().__init__(
            f"{path}: the kernel has no node for partition {number} ({problem}); make it read the table again "
            f"(partx --update {path}, or gptctl repair {path})"
        )
        self.path, self.number = path, number


class Member(Record):
    """A device that is a part of another: the sysfs folder of the disk, and the number of the partition on it."""

    disk: str
    number: int


class RealDisk(Record):
    """A disk with hardware behind it: its node, and whether its medium can be taken out."""

    path: str
    removable: bool


def device_name(name: str) -> str:
    """The name below /dev of what has this name in sysfs."""
    return name.replace("!", "/")


def sysfs_name(name: str) -> str:
    """The name in sysfs of what has this name below /dev."""
    return name.replace("/", "!")


def node_name(entry: str, *, dev: str = DEV) -> str:
    """What the node of a device is called, by its folder in sysfs. Whether it is there and is this device, ``node_of`` knows."""
    return f"{dev}/{device_name(base_name(entry))}"


def partition_name(disk: str, number: int) -> str:
    """How the kernel will call partition ``number`` of a disk with this name of its own: sda3, nvme0n1p3 (disk_name()).

    For what the kernel does not show yet, and for lines that people read. What is opened comes from ``partition_node``.
    """
    return f"{disk}{'p' if disk[-1:].isdigit() else ''}{number}"


def attribute(entry: str, name: str) -> str | None:
    """The text of an attribute in a folder of sysfs; None where there is none."""
    try:
        return read_text(f"{entry}/{name}").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def entry_of(rdev: int, *, sysfs: str = SYSFS) -> str | None:
    """The folder in sysfs of the device with this number, or None where sysfs does not tell."""
    entry = f"{sysfs}/{os.major(rdev)}:{os.minor(rdev)}"
    return real_path(entry) if exists(entry) else None


def node_of(entry: str, *, dev: str = DEV) -> str | None:
    """The node of a device, by its folder in sysfs; None where what has its name in /dev is not this device."""
    node = node_name(entry, dev=dev)
    try:
        found = status(node)
    except OSError:
        return None
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return node if S_ISBLK(found.st_mode) and number == attribute(entry, "dev") else None


def partitions_of(entry: str) -> Iterator[tuple[int, str]]:
    """Number and sysfs folder of each partition of a disk that the kernel itself shows."""
    for name in names_in(entry):
        number = attribute(f"{entry}/{name}", "partition")
        if number is not None:
            yield int(number), f"{entry}/{name}"


def mapped_partitions_of(entry: str) -> Iterator[tuple[int, str]]:
    """As ``partitions_of``, for those that the device mapper shows: kpartx makes them for disks with several paths."""
    holders = f"{entry}/holders"
    for name in names_in(holders) if exists(holders) else ():
        holder = real_path(f"{holders}/{name}")
        member = member_of(holder)
        if member is not None and member.disk == entry:
            yield member.number, holder


def member_of(entry: str) -> Member | None:
    """What the device with this sysfs folder is a partition of; None for a whole disk."""
    number = attribute(entry, "partition")
    if number is not None:
        return Member(parent(entry), int(number))
    mark, _, _ = (attribute(entry, "dm/uuid") or "").partition("-")
    digits = mark.removeprefix(_MAPPED_PARTITION)
    if mark == digits or not digits.isdecimal():
        return None
    below = [real_path(f"{entry}/slaves/{name}") for name in names_in(f"{entry}/slaves")]
    return Member(below[0], int(digits)) if len(below) == 1 else None


def partition_node(path: str, rdev: int, number: int, *, sysfs: str = SYSFS, dev: str = DEV) -> str:
    """The node of a partition of the open disk with this device number; ``path`` is what errors call it.

    Raises NoNodeError.
    """
    entry = entry_of(rdev, sysfs=sysfs)
    if entry is None:
        raise NoNodeError(path, number, f"sysfs does not show {os.major(rdev)}:{os.minor(rdev)}")
    for found, folder in (*partitions_of(entry), *mapped_partitions_of(entry)):
        if found == number:
            node = node_of(folder, dev=dev)
            if node is None:
                raise NoNodeError(path, number, f"{node_name(folder, dev=dev)} is not it")
            return node
    raise NoNodeError(path, number, "it shows no such partition of this disk")


def real_disk(entry: str, *, arrays: bool = False, dev: str = DEV) -> RealDisk | None:
    """The disk with this folder in sysfs, whether its node is there or not; None for one without hardware behind it.

    Such are loop devices, RAM disks, device-mapper targets, and the arrays of md unless they are asked for.
    """
    if not exists(f"{entry}/{_HARDWARE}") and not (arrays and exists(f"{entry}/{_ARRAY}")):
        return None
    try:
        removable = attribute(entry, "removable") == "1"
    except OSError:  # it has just gone
        removable = False
    return RealDisk(node_name(entry, dev=dev), removable)


def disks_and_arrays(*, sysfs: str = SYS_BLOCK, dev: str = DEV) -> Iterator[RealDisk]:
    """The real disks and the arrays of md, by name. Whether a node is there is not looked at."""
    for name in sorted(names_in(sysfs)):
        disk = real_disk(f"{sysfs}/{name}", arrays=True, dev=dev)
        if disk is not None:
            yield disk
