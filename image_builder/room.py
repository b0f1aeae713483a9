"""Errors of places that cannot be written: which path, and how much room there is."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from image_builder.errors import NoSpaceError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NO_ROOM = frozenset({errno.EDQUOT, errno.ENOSPC})
_WRITE_ERRORS = _NO_ROOM | {
    errno.EACCES,
    errno.EEXIST,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
"""What a full, foreign or read-only folder answers; anything else is not about the place that is written to."""
_SAID = (b"No space left on device", b"Disk quota exceeded", b"have enough free space")
"""How programs say it in the C locale: the C library for two errors, and apt before a download."""


@contextmanager
def reported(target: Path, *, only_room: bool = False, needed: int | None = None) -> Iterator[None]:
    """Raise OutputError for an OSError that ``target`` cannot be written, NoSpaceError where there is no room.

    With ``only_room``, other errors pass: for blocks that read things as well. ``needed``: bytes that ``target`` takes, if known.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise no_space(target, error.strerror or str(error), needed) from error
        if only_room or error.errno not in _WRITE_ERRORS:
            raise
        raise OutputError(target, error.strerror or str(error)) from error


def check_room(target: Path, needed: int) -> None:
    """Raise NoSpaceError unless ``needed`` bytes can be written to ``target``, a path that need not be there yet."""
    if free_bytes(target) < needed:
        raise no_space(target, os.strerror(errno.ENOSPC), needed)


def no_space(target: Path, reason: str, needed: int | None = None) -> NoSpaceError:
    """The error for ``target``, a path that need not be there."""
    return NoSpaceError(target, reason, mount_point(target), free_bytes(target), needed)


def no_space_of(program: str, output: bytes, paths: Iterable[Path]) -> NoSpaceError | None:
    """The error for a program that failed with this output for want of room, as it wrote to one of ``paths``; else None.

    Programs do not say where: it is taken to be the fullest place, and of several on one file system, the one that was changed last.
    """
    said = [line for line in output.splitlines() if any(words in line for words in _SAID)]
    if not said:
        return None
    place = min(paths, key=lambda path: (free_bytes(path), -_existing(path).stat().st_ctime_ns))
    return no_space(place, f"{program}: {said[0].decode(errors='replace').strip()}")


def free_bytes(path: Path) -> int:
    """What an ordinary user can still write on the file system of ``path``. Raises OSError."""
    there = _existing(path)
    if not os.access(there, os.W_OK):
        return 1 << 63  # what cannot be written cannot have become full
    system = os.statvfs(there)
    return system.f_bavail * system.f_frsize


def mount_point(path: Path) -> Path:
    """Where the file system of ``path`` is mounted."""
    place = _existing(path).resolve()
    while not place.is_mount():
        place = place.parent
    return place


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
