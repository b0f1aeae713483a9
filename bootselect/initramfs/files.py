"""Small files, read without more than the boot path has loaded anyway."""

from __future__ import annotations

import errno
import os
from stat import S_ISREG

MOST = 1 << 20
"""Bytes of the largest file that is read from a slot."""


def read_from_slot(path: str) -> str:
    """The content of a text file of a slot. Raises OSError where it is missing, is not a regular file or is too large.

    A slot may hold anything: a pipe would never end, a device could do what it likes, a huge file would not fit into memory.
    """
    fd = open_in_slot(path)
    try:
        if os.fstat(fd).st_size > MOST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return os.read(fd, MOST).decode("utf-8", "replace")
    finally:
        os.close(fd)


def open_in_slot(path: str) -> int:
    """A descriptor of a regular file of a slot, for reading. Raises OSError for anything else."""
    # O_NONBLOCK: opening a pipe waits for a writer without it.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is not a regular file", path)
    return fd


def read_text(path: str) -> str:
    """The content of a text file; empty where there is none or it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
