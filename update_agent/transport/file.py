"""A local file as a source: an update on a disk, or the folder of a repository."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from update_agent.transport.errors import FileSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FileSource:
    """Ranges of a regular file. It is opened anew for each range, so that none is left open."""

    def __init__(self, path: Path) -> None:
        self.path, self.shown = path, str(path)

    def size(self) -> int:
        """Bytes. Raises FileSourceError."""
        fd = self._open()
        try:
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    @contextmanager
    def open(self, offset: int, length: int) -> Iterator[_FileReader]:
        """A range of it. Raises FileSourceError, while it is read too, where the file is shorter."""
        fd = self._open()
        try:
            yield _FileReader(fd, self.shown, offset, length)
        finally:
            os.close(fd)

    def _open(self) -> int:
        try:
            # What could block for ever (a pipe) is not opened for reading, but looked at.
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FileSourceError(self.shown, error.strerror or str(error)) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise FileSourceError(self.shown, "it is not a regular file")
        return fd


class _FileReader:
    def __init__(self, fd: int, shown: str, offset: int, length: int) -> None:
        self._fd, self._shown, self._offset, self._end = fd, shown, offset, offset + length

    def readinto(self, buffer: memoryview, /) -> int:
        wanted = buffer[: self._end - self._offset]
        if not wanted:
            return 0
        try:
            count = os.preadv(self._fd, [wanted], self._offset)
        except OSError as error:
            raise FileSourceError(self._shown, f"byte {self._offset}: {error.strerror or error}") from error
        if not count:
            raise FileSourceError(
                self._shown, f"it ends at byte {self._offset}, and bytes up to {self._end} were expected"
            )
        self._offset += count
        return count
