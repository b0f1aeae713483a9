"""Opens a slot for writing: the partition that the kernel shows, or a range of an image file, and nobody else's."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from gptlib.linux.device import BlockDevice
from gptlib.linux.kernel import check_view
from gptlib.linux.nodes import device_name, partition_node
from update_agent.errors import SlotBusyError
from update_agent.slot.read_back import SlotPlace
from update_agent.slot.writer import SlotWriter

if TYPE_CHECKING:
    from gptlib.disk import Disk
    from gptlib.table.table import Table

_LOOP_DEVICES = Path("/sys/block")


def open_slot(disk: Disk, table: Table, number: int) -> SlotWriter:
    """Partition ``number`` of the open disk, for one writer; ``table`` is that of the disk, and sound there.

    On a block device the node of the partition is opened exclusively (a mounted slot is refused) and with O_DIRECT, so that
    sectors are written as they are meant and what is read back comes from the disk. Raises gptlib's NoNodeError and
    StaleViewError where the kernel does not show the partition, or elsewhere, and SlotBusyError. Nothing is written.
    """
    device, partition = disk.device, table.partition(number)
    place = SlotPlace(
        disk.path,
        partition.first_lba * table.sector_size,
        partition.sectors * table.sector_size,
        table.sector_size,
    )
    if not isinstance(device, BlockDevice):
        _refuse_attached(disk.path)
        return _claimed(place, _open(disk.path, 0), beside=True)
    rdev = os.fstat(device.fd).st_rdev
    node = partition_node(disk.path, rdev, number)
    fd = _open(node, os.O_DIRECT | os.O_EXCL)
    try:
        check_view(disk.path, rdev, os.fstat(fd).st_rdev, table, number)
    except BaseException:
        os.close(fd)
        raise
    return _claimed(SlotPlace(node, 0, place.length, place.sector_size), fd)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)
    except OSError as error:
        reason = "it is mounted or in use" if error.errno == errno.EBUSY else error.strerror
        raise SlotBusyError(path, str(reason)) from error


def _claimed(place: SlotPlace, fd: int, *, beside: bool = False) -> SlotWriter:
    """Lock the bytes of the slot. The open-file-description lock goes beside the flock that a change of the table takes."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place.start, place.length, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
    except OSError as error:
        os.close(fd)
        busy = error.errno in {errno.EAGAIN, errno.EACCES}
        reason = "another installation is writing it" if busy else f"it cannot be locked: {error.strerror}"
        raise SlotBusyError(place.path, reason) from error
    return SlotWriter(fd, place, _direct(fd) if beside else None)


def _direct(fd: int) -> int | None:
    """The same file for reading past the kernel's cache, where its file system can do that."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    except OSError:
        return None


def _refuse_attached(path: str, folder: Path = _LOOP_DEVICES) -> None:
    """An image behind a loop device is that device's: a slot of it may be mounted, and its caches know nothing of us."""
    for loop in sorted(folder.glob("loop*")):
        try:
            backing = (loop / "loop" / "backing_file").read_text(encoding="utf-8", errors="surrogateescape")
            same = Path(backing.removesuffix("\n")).samefile(path)
        except OSError:
            continue  # it is free, or its file has no name here
        if same:
            node = f"/dev/{device_name(loop.name)}"
            raise SlotBusyError(path, f"the image is attached as {node}; give that device as the target, or detach it")
