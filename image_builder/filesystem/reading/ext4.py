"""The metadata of an ext4: Documentation/filesystems/ext4 of Linux, as mkfs.ext4 writes it. A journal is not replayed."""

from __future__ import annotations

import stat
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from image_builder.filesystem.listing import Entry
from image_builder.filesystem.reading import ext4_xattrs
from image_builder.filesystem.reading.image import LONGEST_LINK, Image, decode_device, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from image_builder.filesystem.listing import Listing

_SUPERBLOCK_AT, _MAGIC, _ROOT = 1024, 0xEF53, 2
_SUPERBLOCK = Struct("<II 12x II 4x I 4x I 12x HH 28x H 6x I 154x H 80x I")
"""Inodes, blocks; first block, log2 of the block size - 10; blocks and inodes of a group; magic, state; bytes of an inode;
incompatible features; bytes of a group's descriptor; high half of blocks."""
_CLEAN, _HAS_ERRORS = 1, 2
_LARGEST_BLOCK_BITS = 16
_JOURNAL_TO_REPLAY, _64BIT = 0x4, 0x80
_FEATURES = 0x2 | 0x40 | _64BIT | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x20000
"""File types in folders, extents, 64 bits, multiple mounts, flexible groups, values of xattrs in inodes, seed of checksums,
large folders, data in inodes, names without case."""

_GROUP_BYTES, _TABLE_LOW, _TABLE_HIGH, _WITH_HIGH = 32, Struct("<I"), Struct("<I"), 64
_INODE = Struct("<HHI 16x H 6x I 4x 60s 4x II 6x H HH")
"""Mode, owner, size; group; flags; what ``i_block`` holds; block of xattrs, high half of the size; high halves of the block
of xattrs, owner and group. The fields that are skipped: times, links, blocks, generation."""
_I_BLOCK_AT, _OLD_INODE_BYTES, _EXTRA = 40, 128, Struct("<H")
_EXTENTS, _INLINE = 0x80000, 0x10000000

_EXTENT_HEADER, _EXTENT, _EXTENT_INDEX = Struct("<HHHH4x"), Struct("<IHHI"), Struct("<IIH2x")
_EXTENT_MAGIC, _DEEPEST, _LONGEST_EXTENT = 0xF30A, 5, 32768

_NAME = Struct("<IHBx")
_PARENT_BYTES = 4
"""A folder inside of its inode begins with the inode of its parent."""
_LARGEST_BLOCK, _WHOLE_LARGEST = 65536, (0, 65535)
"""A record as long as a block of 64 KiB does not fit into its field."""


def read_listing(path: Path, offset: int = 0) -> Listing:
    """Everything in an ext4 that begins ``offset`` bytes into a file.

    Raises BadFileSystemError for damage and for a file system that was not unmounted, UnreadableFeatureError for what this
    reader does not know.
    """
    image = Image(path, "ext4", offset)
    return walk(image, _Ext4(image), _ROOT)


class _Inode(NamedTuple):
    mode: int
    uid: int
    gid: int
    size: int
    flags: int
    block: bytes
    """``i_block``: extents, the target of a short link, a device number or the beginning of the content."""
    xattr_block: int
    own_xattrs: bytes
    """What stands behind the fields of the inode."""


class _Ext4:
    def __init__(self, image: Image) -> None:
        self._image = image
        (
            self._count,
            blocks,
            first_block,
            bits,
            _,
            self._group_inodes,
            magic,
            state,
            inode_bytes,
            features,
            descriptor_bytes,
            blocks_high,
        ) = image.unpack(_SUPERBLOCK, _SUPERBLOCK_AT)
        if magic != _MAGIC:
            raise image.damaged(f"magic {magic:#x} instead of {_MAGIC:#x}")
        if not state & _CLEAN or state & _HAS_ERRORS or features & _JOURNAL_TO_REPLAY:
            raise image.damaged("it was not unmounted, or has errors that fsck must mend")
        if unknown := features & ~_FEATURES:
            raise image.unknown(f"features {unknown:#x}", "make it by mkfs.ext4 without -O options")
        self._bits = bits + 10
        self._inode_bytes = inode_bytes or _OLD_INODE_BYTES
        if self._bits > _LARGEST_BLOCK_BITS or not self._group_inodes or self._inode_bytes < _OLD_INODE_BYTES:
            raise image.damaged(
                f"blocks of 2^{self._bits} and inodes of {inode_bytes} bytes, {self._group_inodes} in a group"
            )
        self._block_bytes = 1 << self._bits
        self._descriptors = first_block + 1 << self._bits
        self._descriptor_bytes = descriptor_bytes if features & _64BIT else _GROUP_BYTES
        image.end_at((blocks | (blocks_high << 32 if features & _64BIT else 0)) << self._bits)
        self._tables: dict[int, int] = {}
        self._xattr_blocks: dict[int, list[ext4_xattrs.Xattr]] = {}
        self._left = image.size
        """Bytes that folders not read yet can have: no two share any."""

    def entry(self, number: int) -> Entry:
        inode = self._inode(number)
        kind = stat.S_IFMT(inode.mode)
        size, target, device = 0, b"", (0, 0)
        if kind == stat.S_IFREG:
            size = inode.size
        elif kind == stat.S_IFLNK:
            if inode.size > LONGEST_LINK:
                raise self._image.damaged(f"a symbolic link of {inode.size} bytes")
            is_short = inode.size < len(inode.block) and not inode.flags & (_EXTENTS | _INLINE)
            target = inode.block[: inode.size] if is_short else self._content(inode)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            old, new = int.from_bytes(inode.block[:4], "little"), int.from_bytes(inode.block[4:8], "little")
            device = (old >> 8 & 0xFF, old & 0xFF) if old else decode_device(new)
        xattrs = self._xattrs(inode) if inode.own_xattrs or inode.xattr_block else ()
        return Entry(inode.mode, inode.uid, inode.gid, size, target, device, xattrs)

    def children(self, number: int) -> Iterator[tuple[bytes, int]]:
        inode = self._inode(number)
        self._left -= inode.size
        if self._left < 0:
            raise self._image.damaged("folders with more bytes than it has")
        content = self._content(inode)
        if inode.flags & _INLINE:
            yield from self._names(content[_PARENT_BYTES : len(inode.block)])
            yield from self._names(content[len(inode.block) :])
            return
        for start in range(0, len(content), self._block_bytes):
            yield from self._names(content[start : start + self._block_bytes])

    def _names(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        """What a block lists. Those of an index of hashes look like names without an inode to whoever does not know them."""
        position = 0
        while position < len(block):
            if position + _NAME.size > len(block):
                raise self._image.damaged("a folder that ends in the middle of an entry")
            number, length, name_bytes = _NAME.unpack_from(block, position)
            if len(block) == _LARGEST_BLOCK and length in _WHOLE_LARGEST:
                length = _LARGEST_BLOCK
            if length < _NAME.size + (name_bytes if number else 0) or position + length > len(block):
                raise self._image.damaged(f"a folder with an entry of {length} bytes for a name of {name_bytes}")
            if number:
                yield block[position + _NAME.size : position + _NAME.size + name_bytes], number
            position += length

    def _inode(self, number: int) -> _Inode:
        if not 0 < number <= self._count:
            raise self._image.damaged(f"inode {number} of {self._count}")
        group, index = divmod(number - 1, self._group_inodes)
        position = self._table(group) + index * self._inode_bytes
        (mode, uid, size, gid, flags, block, xattr_block, size_high, xattr_block_high, uid_high, gid_high) = (
            self._image.unpack(_INODE, position)
        )
        if stat.S_ISREG(mode):
            size |= size_high << 32
        own = b""
        if self._inode_bytes > _OLD_INODE_BYTES:
            (extra,) = self._image.unpack(_EXTRA, position + _OLD_INODE_BYTES)
            used = _OLD_INODE_BYTES + extra
            if used < self._inode_bytes:
                own = ext4_xattrs.in_inode(self._image.read(position + used, self._inode_bytes - used))
        return _Inode(
            mode,
            uid | uid_high << 16,
            gid | gid_high << 16,
            size,
            flags,
            block,
            xattr_block | xattr_block_high << 32,
            own,
        )

    def _table(self, group: int) -> int:
        """Where the inodes of a group are, in bytes."""
        if group not in self._tables:
            position = self._descriptors + group * self._descriptor_bytes
            (block,) = self._image.unpack(_TABLE_LOW, position + 8)
            if self._descriptor_bytes >= _WITH_HIGH:
                block |= self._image.unpack(_TABLE_HIGH, position + 40)[0] << 32
            self._tables[group] = block << self._bits
        return self._tables[group]

    def _content(self, inode: _Inode) -> bytes:
        if inode.flags & _INLINE:
            rest = ext4_xattrs.inline_data(self._own_xattrs(inode))
            return (inode.block + rest)[: max(inode.size, len(inode.block)) if stat.S_ISDIR(inode.mode) else inode.size]
        if not inode.flags & _EXTENTS:
            raise self._image.unknown(
                "a folder or link in a map of blocks, as ext2 and ext3 have them", "make it by mkfs.ext4"
            )
        content = bytearray(inode.size)
        for logical, blocks, physical in self._extents(inode.block, _DEEPEST):
            start = logical << self._bits
            size = min(blocks << self._bits, inode.size - start)
            if size > 0:
                content[start : start + size] = self._image.read(physical << self._bits, size)
        return bytes(content)

    def _extents(self, node: bytes, deepest: int) -> Iterator[tuple[int, int, int]]:
        """First block in the file, number of blocks, first block on the disk."""
        magic, count, _, depth = _EXTENT_HEADER.unpack_from(node)
        room = (len(node) - _EXTENT_HEADER.size) // _EXTENT.size
        if magic != _EXTENT_MAGIC or count > room or depth > deepest:
            raise self._image.damaged(
                f"a tree of extents with magic {magic:#x}, {count} of {room} entries and depth {depth}"
            )
        for index in range(count):
            position = _EXTENT_HEADER.size + index * _EXTENT.size
            if depth == 0:
                logical, blocks, high, low = _EXTENT.unpack_from(node, position)
                if blocks <= _LONGEST_EXTENT:  # longer: allocated, never written
                    yield logical, blocks, low | high << 32
            else:
                _, low, high = _EXTENT_INDEX.unpack_from(node, position)
                yield from self._extents(
                    self._image.read((low | high << 32) << self._bits, self._block_bytes), depth - 1
                )

    def _xattrs(self, inode: _Inode) -> tuple[tuple[bytes, bytes], ...]:
        found = self._own_xattrs(inode)
        if inode.xattr_block:
            if inode.xattr_block not in self._xattr_blocks:
                block = self._image.read(inode.xattr_block << self._bits, self._block_bytes)
                self._xattr_blocks[inode.xattr_block] = ext4_xattrs.in_block(self._image, block)
            found = found + self._xattr_blocks[inode.xattr_block]
        return ext4_xattrs.as_the_kernel_shows(self._image, found, self._value)

    def _own_xattrs(self, inode: _Inode) -> list[ext4_xattrs.Xattr]:
        return ext4_xattrs.entries(self._image, inode.own_xattrs, 0) if inode.own_xattrs else []

    def _value(self, number: int, size: int) -> bytes:
        """The value of an xattr that has an inode of its own."""
        inode = self._inode(number)
        if size != inode.size or size > ext4_xattrs.LARGEST_VALUE:
            raise self._image.damaged(f"an xattr of {size} bytes in an inode of {inode.size}")
        return self._content(inode)
