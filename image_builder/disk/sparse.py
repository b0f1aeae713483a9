"""Copies into image files that leave holes where the source has them, without the bytes passing through Python."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def copy_into(source: Path, target: Path, offset: int) -> int:
    """Copy the data of ``source`` to byte ``offset`` of ``target``, which has holes there; returns the bytes copied.

    Holes of the source are left out. Raises OSError.
    """
    with source.open("rb") as reader, target.open("r+b") as writer:
        copied = 0
        for start, end in data_extents(reader.fileno()):
            _copy_range(reader.fileno(), writer.fileno(), start, end, offset)
            copied += end - start
    return copied


def data_extents(fd: int) -> Iterator[tuple[int, int]]:
    """The ranges (start, end) of a file that are not holes, as the file system tells."""
    end, size = 0, os.fstat(fd).st_size
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(reader: int, writer: int, start: int, end: int, offset: int) -> None:
    # sendfile is as fast as copy_file_range here and also works from one file system to another.
    os.lseek(writer, start + offset, os.SEEK_SET)
    while start < end:
        done = os.sendfile(writer, reader, start, end - start)
        if not done:
            raise OSError(errno.EIO, "a file became shorter while it was copied")
        start += done
