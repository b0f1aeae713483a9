"""Dumps of disks, and of files that hold a dump already."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from stat import S_ISFIFO

from gptlib._files import open_file, read_bytes, status
from gptlib.disk import Disk
from gptlib.dump import MAGIC, Dump, DumpError, parse_dump
from gptlib.errors import TargetError
from gptlib.layout.compiled import MBR_SIZE
from gptlib.linux.resolve import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def dump_of(path: str) -> Dump:
    """Read the table of a disk or image. Raises as ``Disk.read``."""
    with Disk.open(resolve_target(path).path) as disk:
        state = disk.read()
    return Dump(state.table, state.mbr.ljust(MBR_SIZE, b"\0"))


def read_dump(path: str) -> Dump:
    """Read a dump from a file, or from stdin for ``-``. Raises DumpError, or TargetError where it cannot be read."""
    try:
        with _stdin() if path == "-" else open_file(path, "rb") as file:
            data = file.read(len(MAGIC))
            # Whatever does not start like a dump is not read any further: it may be a disk.
            if data == MAGIC.encode():
                data += file.read()
    except OSError as error:
        raise TargetError(path, f"cannot be read: {error.strerror}") from error
    try:
        return parse_dump(data.decode(), path)
    except UnicodeDecodeError:
        raise DumpError(path, 1, "it is not text in UTF-8") from None


@contextmanager
def _stdin() -> Iterator[BinaryIO]:
    yield sys.stdin.buffer


def is_dump(path: str) -> bool:
    """Whether a file starts as a dump does, or is a pipe. Raises TargetError where it cannot be read."""
    if path == "-":
        return True
    try:
        if S_ISFIFO(status(path).st_mode):
            return True
        return read_bytes(path, len(MAGIC)) == MAGIC.encode()
    except OSError as error:
        raise TargetError(path, f"cannot be opened: {error.strerror}") from error
