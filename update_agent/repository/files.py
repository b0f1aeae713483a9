"""Files that are there whole or not at all, and folders that one process at a time works on."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from update_agent.repository.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from update_agent.repository.clock import Clock

_POLL = 0.1
"""Seconds between two looks at a lock that is held."""


class Files:
    """Every call by which this room and ``publish`` change a file system, so that a test can make each of them fail."""

    def create(self, path: Path, mode: int) -> int:
        """Open an empty file for writing; what a killed process left under that name is gone. Returns its descriptor."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        os.fchmod(descriptor, mode)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of ``data``."""
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]

    def fsync(self, descriptor: int) -> None:
        """Return when all of it is on the disk."""
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Give a file its name, in place of what has that name now."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def symlink(self, path: Path, target: str) -> None:
        """Make a symbolic link at ``path``; what a killed process left there is gone."""
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def make_folder(self, path: Path, mode: int = 0o755) -> None:
        """Make a folder, and those above it, if it is not there."""
        path.mkdir(mode=mode, parents=True, exist_ok=True)


def store(files: Files, path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file under its name and flush it; ``settle`` its folder before anything is to rely on it.

    On the disk, whatever happens: the old file or the new one. What may be left beside it is overwritten by the next call, so
    there must be one writer at a time (see ``locked``). Raises OSError.
    """
    beside = _beside(path)
    descriptor = files.create(beside, mode)
    try:
        files.write(descriptor, data)
        files.fsync(descriptor)
    finally:
        os.close(descriptor)
    files.replace(beside, path)


def link(files: Files, path: Path, target: str) -> None:
    """Make ``path`` a symbolic link to ``target``; on the disk is the old one or the new one. Raises OSError."""
    files.symlink(_beside(path), target)
    files.replace(_beside(path), path)


def settle(files: Files, folder: Path) -> None:
    """Flush a folder: the names in it are on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        files.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, wait: float, clock: Clock) -> Iterator[None]:
    """Hold the lock of a folder that is there. It needs no file, and ends with the process, however that ends.

    Raises BusyError when another process, or thread, has held it for ``wait`` seconds; OSError.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        begin = clock.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if clock.monotonic() - begin >= wait:
                    raise BusyError(str(folder), wait) from None
                clock.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")
