"""What the device mapper says of a partition that it shows of a disk (linux/dm-ioctl.h)."""

from __future__ import annotations

import fcntl
import os
from struct import pack_into, unpack_from

_CONTROL = "/dev/mapper/control"
_TABLE_STATUS, _WANT_TABLE = 0xC138FD0C, 1 << 4
_VERSION, _SIZE, _HEADER = (4, 0, 0), 4096, 312
_TARGET = "=QQiI16s"
_PARAMETERS_AT = 40


def linear_start(mapped: int, disk: int) -> int | None:
    """The sector (of 512 bytes) of ``disk`` at which the mapped device starts; both are device numbers.

    None where it is anything but one linear piece of that disk, or the device mapper does not answer.
    """
    buffer = bytearray(_SIZE)
    pack_into("=9I4xQ", buffer, 0, *_VERSION, _SIZE, _HEADER, 0, 0, _WANT_TABLE, 0, mapped)
    try:
        fd = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.ioctl(fd, _TABLE_STATUS, buffer)
    except OSError:
        return None
    finally:
        os.close(fd)
    (at, targets) = unpack_from("=II", buffer, 16)
    (_, _, _, _, kind) = unpack_from(_TARGET, buffer, at)
    parameters = bytes(buffer[at + _PARAMETERS_AT :]).partition(b"\0")[0].split()
    where = f"{os.major(disk)}:{os.minor(disk)}".encode()
    if targets != 1 or kind.rstrip(b"\0") != b"linear" or len(parameters) != 2 or parameters[0] != where:
        return None
    return int(parameters[1])
