"""What the readers share: bytes of an image with their limits, and the walk from the root to every name."""

from __future__ import annotations

import mmap
import stat
from struct import error as StructError  # noqa: N812 - an exception
from typing import TYPE_CHECKING, Any, Protocol

from image_builder.filesystem.errors import BadFileSystemError, UnreadableFeatureError, printable
from image_builder.filesystem.listing import mark_hard_links

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from struct import Struct

    from image_builder.filesystem.listing import Entry, Listing

_LONGEST_PATH = 4096
"""PATH_MAX, bytes: no program could name more."""
_TYPES = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)
LONGEST_LINK = 4096
"""Bytes of a symbolic link, on every file system of Linux."""


class Image:
    """The bytes of a file system inside of a file."""

    def __init__(self, path: Path, kind: str, offset: int) -> None:
        """``offset`` is where the file system begins, in bytes. Raises BadFileSystemError where nothing can be read there."""
        self.path, self.kind = path, kind
        try:
            with path.open("rb") as file:
                self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))[offset:]
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise self.damaged(f"cannot be read: {error}") from error

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    def end_at(self, size: int) -> None:
        """From now on the image has ``size`` bytes, as its superblock says. Raises BadFileSystemError where the file has less."""
        if size > len(self._data):
            raise self.damaged(f"cut off: {len(self._data)} of {size} bytes")
        self._data = self._data[:size]

    def unpack(self, layout: Struct, position: int) -> tuple[Any, ...]:
        """The fields at ``position``. Raises BadFileSystemError beyond the end."""
        try:
            return layout.unpack_from(self._data, position)
        except (StructError, OverflowError, IndexError):
            raise self._beyond(position, layout.size) from None

    def read(self, position: int, size: int) -> bytes:
        """``size`` bytes at ``position``. Raises BadFileSystemError beyond the end."""
        if position + size > len(self._data):
            raise self._beyond(position, size)
        return bytes(self._data[position : position + size])

    def damaged(self, problem: str) -> BadFileSystemError:
        """The error to raise."""
        return BadFileSystemError(self.path, self.kind, problem)

    def unknown(self, feature: str, remedy: str) -> UnreadableFeatureError:
        """The error to raise."""
        return UnreadableFeatureError(self.path, self.kind, feature, remedy)

    def _beyond(self, position: int, size: int) -> BadFileSystemError:
        return self.damaged(f"something of {size} bytes at byte {position}, beyond its end at {len(self._data)}")


class Reader(Protocol):
    """What a kind of file system knows: its inodes, each named by a number."""

    def entry(self, number: int) -> Entry:
        """What an inode says."""
        ...

    def children(self, number: int) -> Iterable[tuple[bytes, int]]:
        """Names and inodes in a folder; ``.`` and ``..`` may be among them."""
        ...


def walk(image: Image, reader: Reader, root: int) -> Listing:
    """Everything that can be reached from the root. Raises BadFileSystemError."""
    top = reader.entry(root)
    if not stat.S_ISDIR(top.mode):
        raise image.damaged("its root is no folder")
    entries = {b"": top}
    folders, files = {root}, dict[int, list[bytes]]()
    pending = [(b"", root)]
    while pending:
        folder, number = pending.pop()
        prefix = folder + b"/" if folder else b""
        for name, child in reader.children(number):
            if name in (b".", b".."):
                continue
            path = prefix + name
            if not name or b"/" in name or b"\0" in name or path in entries or len(path) > _LONGEST_PATH:
                raise image.damaged(f"a name that cannot be in {printable(folder)}: {printable(name)[:300]}")
            if names := files.get(child):
                names.append(path)
                entries[path] = entries[names[0]]
                continue
            entry = entries[path] = reader.entry(child)
            if stat.S_IFMT(entry.mode) not in _TYPES:
                raise image.damaged(f"a type that no file has: {printable(path)}: {entry.mode:o}")
            if not stat.S_ISDIR(entry.mode):
                files[child] = [path]
            elif child in folders:
                raise image.damaged(f"a folder that is in two places: {printable(path)}")
            else:
                folders.add(child)
                pending.append((path, child))
    mark_hard_links(entries, files.values())
    return entries


def decode_device(number: int) -> tuple[int, int]:
    """Major and minor number of 32 bits as Linux stores them (include/linux/kdev_t.h, new_decode_dev)."""
    return (number & 0xFFF00) >> 8, number & 0xFF | (number >> 12) & 0xFFF00
