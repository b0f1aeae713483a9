"""What is in a file system, entry by entry: all that an image must keep of its source, but for content and times."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from image_builder.filesystem.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


_FOR_ALL = 0o444


_FOR_ALL = 0o444
"""Permission to read, for owner, group and others."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a file system."""

    mode: int
    """``st_mode``: the type and the permissions."""
    uid: int
    gid: int
    size: int = 0
    """Bytes of a regular file, 0 of anything else."""
    target: bytes = b""
    """Where a symbolic link points."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    """Sorted: full name as the kernel shows it, value. Capabilities and access control lists are among them."""
    first: bytes = b""
    """Of a file with several names, the one that sorts first; empty where the file has one name."""


Listing = Mapping[bytes, Entry]
"""Relative path without a leading ``/`` -> entry. The root is ``b""``."""


def mark_hard_links(entries: dict[bytes, Entry], groups: Iterable[list[bytes]]) -> None:
    """Tell the entries which names are one file; each group holds the names of one."""
    for names in groups:
        if len(names) > 1:
            first = min(names)
            for name in names:
                entries[name] = replace(entries[name], first=first)


def list_folder(root: Path) -> Listing:
    """Everything below a folder, and the folder itself; symbolic links are not followed.

    Raises UnreadableError, which names everything that cannot be read at once.
    """
    entries: dict[bytes, Entry] = {}
    files: dict[tuple[int, int], list[bytes]] = {}
    problems: list[tuple[bytes, str]] = []
    top = os.fsencode(root)
    pending = [b""]
    while pending:
        folder = pending.pop()
        try:
            if not folder:
                entries[b""] = _entry(top, os.stat(top))  # noqa: PTH116 - the names are bytes
            children = _children(top, folder)
        except OSError as error:
            problems.append((folder, error.strerror or str(error)))
            continue
        for name, found in children:
            path = folder + b"/" + name if folder else name
            try:
                status = found.stat(follow_symlinks=False)
                entries[path] = _entry(found.path, status)
            except OSError as error:
                problems.append((path, error.strerror or str(error)))
                continue
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)
            elif status.st_nlink > 1:
                files.setdefault((status.st_dev, status.st_ino), []).append(path)
    if problems:
        raise UnreadableError(root, sorted(problems))
    mark_hard_links(entries, files.values())
    return entries


def _children(top: bytes, folder: bytes) -> list[tuple[bytes, os.DirEntry[bytes]]]:
    with os.scandir(os.path.join(top, folder)) as found:  # noqa: PTH118 - the names are bytes
        return [(entry.name, entry) for entry in found]


def _entry(path: bytes, status: os.stat_result) -> Entry:
    kind = stat.S_IFMT(status.st_mode)
    xattrs = _xattrs(path)
    # Without attributes there is no access control list: what everybody may read need not be tried.
    closed = status.st_mode & _FOR_ALL != _FOR_ALL or xattrs
    if kind == stat.S_IFREG and closed and not os.access(path, os.R_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
    return Entry(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_size if kind == stat.S_IFREG else 0,
        os.readlink(path) if kind == stat.S_IFLNK else b"",  # noqa: PTH115 - the names are bytes
        (os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
        xattrs,
    )


def _xattrs(path: bytes) -> tuple[tuple[bytes, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ()
        raise
    if not names:
        return ()
    return tuple(sorted((os.fsencode(name), os.getxattr(path, name, follow_symlinks=False)) for name in names))
