"""The system calls that the state is kept with, one method each, so that a test can let each of them fail or be the last one."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Files(Protocol):
        """Files by their paths; every method raises OSError."""

        def read(self, path: str, limit: int) -> bytes:
            """The whole file. Raises an OSError with EFBIG where it has more than ``limit`` bytes."""

        def create(self, path: str) -> int:
            """Open an empty file for writing, whatever stood there; never through a symbolic link."""

        def append(self, path: str) -> int:
            """Open a file for writing at its end; it is made where there is none."""

        def write(self, fd: int, data: bytes) -> int:
            """Write some of the data; how many bytes."""

        def fsync(self, fd: int) -> None:
            """What was written, or renamed in a folder, is on stable storage."""

        def close(self, fd: int) -> None:
            """Close."""

        def rename(self, old: str, new: str) -> None:
            """Give a file another name, in one step, also where a file has that name."""

        def unlink(self, path: str) -> None:
            """Remove a file."""

        def open_folder(self, path: str) -> int:
            """Open a folder, for fsync."""

        def make_folder(self, path: str) -> None:
            """Make a folder in one that is there."""

        def lock(self, path: str) -> int:
            """Open a file and lock it until it is closed. Raises BlockingIOError where another process has it."""


class SystemFiles:
    """Those of the system."""

    def read(self, path: str, limit: int) -> bytes:
        """As in ``Files``."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = b""
            while len(data) <= limit and (more := os.read(fd, min(1 << 20, limit + 1 - len(data)))):
                data += more
        finally:
            os.close(fd)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit} bytes", path)
        return data

    def create(self, path: str) -> int:
        """As in ``Files``."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)

    def append(self, path: str) -> int:
        """As in ``Files``."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)

    def write(self, fd: int, data: bytes) -> int:
        """As in ``Files``."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """As in ``Files``."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """As in ``Files``."""
        os.close(fd)

    def rename(self, old: str, new: str) -> None:
        """As in ``Files``."""
        os.rename(old, new)  # noqa: PTH104  (one method, one system call)

    def unlink(self, path: str) -> None:
        """As in ``Files``."""
        os.unlink(path)  # noqa: PTH108

    def open_folder(self, path: str) -> int:
        """As in ``Files``."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def make_folder(self, path: str) -> None:
        """As in ``Files``."""
        os.mkdir(path, 0o755)  # noqa: PTH102

    def lock(self, path: str) -> int:
        """As in ``Files``."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return fd


def replace_file(files: Files, folder: str, name: str, data: bytes) -> None:
    """Write a file of the folder whole, or not at all. Raises OSError.

    After an error, a kill or a power cut at any point the file has its old or its new content; once this has returned, the new one
    for good. The order: a new file beside it, flushed; renamed over the old one; the folder flushed.
    """
    temporary, target = f"{folder}/.{name}.new", f"{folder}/{name}"
    try:
        write_file(files, files.create(temporary), data)
        files.rename(temporary, target)
    except OSError:
        # A full disk has more use for its bytes than we have.
        with suppress(OSError):
            files.unlink(temporary)
        raise
    flush_folder(files, folder)


def write_file(files: Files, fd: int, data: bytes) -> None:
    """Write all of the data, flush, and close. Raises OSError; some of the data may be in the file then."""
    try:
        while data:
            done = files.write(fd, data)
            if not done:
                raise OSError(errno.EIO, "the file takes no more")
            data = data[done:]
        files.fsync(fd)
    finally:
        files.close(fd)


def flush_folder(files: Files, folder: str) -> None:
    """Names of files in it are on stable storage. Raises OSError."""
    fd = files.open_folder(folder)
    try:
        files.fsync(fd)
    finally:
        files.close(fd)


def make_folders(files: Files, path: str) -> None:
    """Make a folder and those above it, where they are missing, each flushed into the one above. Raises OSError."""
    try:
        files.close(files.open_folder(path))
    except FileNotFoundError:
        above = os.path.dirname(path) or "."  # noqa: PTH120
        make_folders(files, above)
        with suppress(FileExistsError):
            files.make_folder(path)
        flush_folder(files, above)
