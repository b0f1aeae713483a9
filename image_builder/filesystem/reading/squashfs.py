"""The metadata of a squashfs 4.0: fs/squashfs/squashfs_fs.h of Linux."""

from __future__ import annotations

import stat
from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception
from typing import TYPE_CHECKING, NamedTuple

from image_builder.filesystem.listing import Entry
from image_builder.filesystem.reading.image import LONGEST_LINK, Image, decode_device, walk
from image_builder.filesystem.reading.metablocks import BLOCK_BYTES, MetadataBlocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from image_builder.filesystem.listing import Listing

_MAGIC, _VERSION = 0x73717368, (4, 0)
_SUPERBLOCK = Struct("<I 16x H 4x HHH QQQQQQ 16x")
"""Magic; compression; number of ids, version; root, bytes used, tables of ids, xattrs, inodes and folders."""
_NONE = 0xFFFFFFFFFFFFFFFF

_INODE = Struct("<HHHH8x")
"""Type, permissions, index of owner and group; then, by type:"""
_FOLDER, _LARGE_FOLDER = Struct("<I4xHH4x"), Struct("<4xII4x2xHI")
_FILE, _LARGE_FILE = Struct("<12xI"), Struct("<8xQ20xI")
_LINK = Struct("<4xI")
_DEVICE, _LARGE_DEVICE = Struct("<4xI"), Struct("<4xII")
_LARGE_PIPE = Struct("<4xI")

_HEADER, _NAME = Struct("<III"), Struct("<HhHH")
_EMPTY_FOLDER = 3
"""What the size of a folder counts for ``.`` and ``..``, which are not stored."""
_MOST_IN_A_RUN = 256

_ID, _INDEX = Struct("<I"), Struct("<Q")
_XATTR_TABLE, _XATTR_ID, _XATTR, _SIZE = Struct("<QI4x"), Struct("<QI4x"), Struct("<HH"), Struct("<I")
_NO_XATTRS = 0xFFFFFFFF
_PREFIXES = (b"user.", b"trusted.", b"security.")
_ELSEWHERE = 0x100
"""Set in the type of an xattr whose value is stored once for several."""

_TYPES = (
    stat.S_IFDIR,
    stat.S_IFREG,
    stat.S_IFLNK,
    stat.S_IFBLK,
    stat.S_IFCHR,
    stat.S_IFIFO,
    stat.S_IFSOCK,
)
"""By type of inode, from 1; the large ones follow from 8 in the same order."""


def read_listing(path: Path, offset: int = 0) -> Listing:
    """Everything in a squashfs that begins ``offset`` bytes into a file.

    Raises BadFileSystemError for damage, UnreadableFeatureError for a compression of metadata that cannot be read here.
    """
    image = Image(path, "squashfs", offset)
    reader = _Squashfs(image)
    return walk(image, reader, reader.root)


class _Inode(NamedTuple):
    mode: int
    uid: int
    gid: int
    large: bool
    body: bytes
    """What follows the common fields, and more."""


class _Squashfs:
    """Inodes are named by references: the place of their block in the table, shifted by 16, and the byte in it."""

    def __init__(self, image: Image) -> None:
        self._image = image
        magic, compression, ids, major, minor, self.root, used, id_table, xattrs, inodes, folders = image.unpack(
            _SUPERBLOCK, 0
        )
        if magic != _MAGIC:
            raise image.damaged(f"magic {magic:#x} instead of {_MAGIC:#x}")
        if (major, minor) != _VERSION:
            raise image.unknown(f"version {major}.{minor}", "make it by mksquashfs 4")
        image.end_at(used)
        self._inodes = MetadataBlocks(image, compression, inodes)
        self._folders = MetadataBlocks(image, compression, folders)
        self._plain = MetadataBlocks(image, compression, 0)
        self._ids = [number for (number,) in _ID.iter_unpack(self._table(id_table, ids * _ID.size))]
        self._xattr_ids: list[tuple[int, int]] = []
        if xattrs != _NONE:
            start, count = image.unpack(_XATTR_TABLE, xattrs)
            self._xattr_entries = MetadataBlocks(image, compression, start)
            table = self._table(xattrs + _XATTR_TABLE.size, count * _XATTR_ID.size)
            self._xattr_ids = list(_XATTR_ID.iter_unpack(table))
        self._xattrs: dict[int, tuple[tuple[bytes, bytes], ...]] = {_NO_XATTRS: ()}
        self._listed = 0

    def _table(self, indexes: int, size: int) -> bytes:
        """A table whose blocks are named, each on its own, from byte ``indexes``."""
        blocks = []
        for number in range(-(-size // BLOCK_BYTES)):
            (block,) = self._image.unpack(_INDEX, indexes + number * _INDEX.size)
            blocks.append(self._plain.read(block, 0, min(BLOCK_BYTES, size - number * BLOCK_BYTES)))
        return b"".join(blocks)

    def entry(self, number: int) -> Entry:
        inode = self._inode(number)
        try:
            return self._described(inode)
        except StructError:
            raise self._image.damaged("an inode that is cut off") from None

    def _described(self, inode: _Inode) -> Entry:
        mode, uid, gid, large, body = inode
        kind = stat.S_IFMT(mode)
        size, target, device, xattrs = 0, b"", (0, 0), _NO_XATTRS
        if kind == stat.S_IFREG:
            if large:
                size, xattrs = _LARGE_FILE.unpack_from(body)
            else:
                (size,) = _FILE.unpack_from(body)
        elif kind == stat.S_IFDIR:
            if large:
                xattrs = _LARGE_FOLDER.unpack_from(body)[3]
        elif kind == stat.S_IFLNK:
            (length,) = _LINK.unpack_from(body)
            target = body[_LINK.size : _LINK.size + length]
            if length > LONGEST_LINK or len(target) != length:
                raise self._image.damaged(f"a symbolic link of {length} bytes")
            if large:
                (xattrs,) = _ID.unpack_from(body, _LINK.size + length)
        elif kind in (stat.S_IFBLK, stat.S_IFCHR):
            if large:
                number, xattrs = _LARGE_DEVICE.unpack_from(body)
            else:
                (number,) = _DEVICE.unpack_from(body)
            device = decode_device(number)
        elif large:
            (xattrs,) = _LARGE_PIPE.unpack_from(body)
        if xattrs not in self._xattrs:
            self._xattrs[xattrs] = self._xattrs_of(xattrs)
        return Entry(mode, uid, gid, size, target, device, self._xattrs[xattrs])

    def children(self, number: int) -> Iterator[tuple[bytes, int]]:
        inode = self._inode(number)
        try:
            if inode.large:
                size, block, offset, _ = _LARGE_FOLDER.unpack_from(inode.body)
            else:
                block, size, offset = _FOLDER.unpack_from(inode.body)
            if size > _EMPTY_FOLDER:
                listing = self._folders.read(block, offset, size - _EMPTY_FOLDER)
                self._listed += len(listing)
                if self._listed > self._folders.decoded_bytes:
                    raise self._image.damaged("folders that share their entries")
                yield from self._names(listing)
        except StructError:
            raise self._image.damaged("a folder that is cut off") from None

    def _names(self, listing: bytes) -> Iterator[tuple[bytes, int]]:
        position = 0
        while position < len(listing):
            count, block, _ = _HEADER.unpack_from(listing, position)
            position += _HEADER.size
            if count >= _MOST_IN_A_RUN:
                raise self._image.damaged(f"a folder with {count + 1} entries in a run")
            for _ in range(count + 1):
                offset, _, _, length = _NAME.unpack_from(listing, position)
                position += _NAME.size + length + 1
                yield listing[position - length - 1 : position], block << 16 | offset

    def _inode(self, number: int) -> _Inode:
        tail = self._inodes.tail(number >> 16, number & 0xFFFF)
        if len(tail) < _INODE.size:
            raise self._image.damaged("an inode that is cut off")
        kind, permissions, owner, group = _INODE.unpack_from(tail)
        large = kind > len(_TYPES)
        if not 0 < kind <= 2 * len(_TYPES) or max(owner, group) >= len(self._ids):
            raise self._image.damaged(
                f"an inode of type {kind} that belongs to number {max(owner, group)} of {len(self._ids)}"
            )
        mode = _TYPES[(kind - 1) % len(_TYPES)] | stat.S_IMODE(permissions)
        return _Inode(mode, self._ids[owner], self._ids[group], large, tail[_INODE.size :])

    def _xattrs_of(self, number: int) -> tuple[tuple[bytes, bytes], ...]:
        if number >= len(self._xattr_ids):
            raise self._image.damaged(f"xattrs number {number} of {len(self._xattr_ids)}")
        where, count = self._xattr_ids[number]
        cursor, found = _Cursor(self._xattr_entries, where), []
        for _ in range(count):
            kind, length = cursor.take(_XATTR)
            if kind & ~_ELSEWHERE >= len(_PREFIXES):
                raise self._image.damaged(f"an xattr of kind {kind}")
            name = _PREFIXES[kind & ~_ELSEWHERE] + cursor.bytes(length)
            value = cursor.bytes(cursor.take(_SIZE)[0])
            if kind & _ELSEWHERE:
                if len(value) != _INDEX.size:
                    raise self._image.damaged(f"an xattr whose value is at a place of {len(value)} bytes")
                other = _Cursor(self._xattr_entries, _INDEX.unpack(value)[0])
                value = other.bytes(other.take(_SIZE)[0])
            found.append((name, value))
        return tuple(sorted(found))


class _Cursor:
    """A place in a table, moved by what is read."""

    def __init__(self, blocks: MetadataBlocks, reference: int) -> None:
        self._blocks, self._block, self._position = blocks, reference >> 16, reference & 0xFFFF

    def take(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self.bytes(layout.size))

    def bytes(self, size: int) -> bytes:
        data = self._blocks.read(self._block, self._position, size)
        self._block, self._position = self._blocks.moved(self._block, self._position + size)
        return data
