"""The metadata of an erofs: fs/erofs/erofs_fs.h of Linux, as mkfs.erofs 1.5 and later write it.

Files may be compressed in any way: their content is not looked at. Folders and symbolic links are stored as they are.
"""

from __future__ import annotations

import stat
from struct import Struct
from typing import TYPE_CHECKING

from image_builder.filesystem import acl
from image_builder.filesystem.listing import Entry
from image_builder.filesystem.reading.image import LONGEST_LINK, Image, decode_device, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from image_builder.filesystem.listing import Listing

_SUPERBLOCK_AT, _MAGIC = 1024, 0xE0F5E1E2
_SUPERBLOCK = Struct("<I 8x B x H 20x III 32x I 6x B")
"""Magic, log2 of the block size, inode of the root; blocks, first block of inodes and of shared xattrs; features; log2 of
blocks in a block of a folder."""
_FEATURES = 0x3F
"""Those that change nothing here: how content is compressed, chunks, other devices, fragments."""
_SMALLEST_BLOCK, _LARGEST_BLOCK = 9, 16

_INODE_BYTES = 32
_FORMAT = Struct("<HHH")
"""Layout of inode and content; size of the xattrs; mode."""
_COMPACT = Struct("<HHHHI4xI4xHH4x")
_EXTENDED = Struct("<HHH2xQI4xII32x")
_PLAIN, _INLINE = 0, 2
_XATTRS = Struct("<4xB7x")
_XATTR = Struct("<BBH")
_SHARED = Struct("<I")
_PREFIXES = {1: b"user.", 2: acl.ACCESS, 3: acl.DEFAULT, 4: b"trusted.", 6: b"security."}
_NAME = Struct("<QHBx")
"""Inode and where the name stands in its block; the type, which the inode tells too."""


def read_listing(path: Path, offset: int = 0) -> Listing:
    """Everything in an erofs that begins ``offset`` bytes into a file.

    Raises BadFileSystemError for damage, UnreadableFeatureError for what this reader does not know.
    """
    image = Image(path, "erofs", offset)
    reader = _Erofs(image)
    return walk(image, reader, reader.root)


class _Erofs:
    def __init__(self, image: Image) -> None:
        self._image = image
        magic, bits, self.root, blocks, inodes, shared, features, folder_bits = image.unpack(
            _SUPERBLOCK, _SUPERBLOCK_AT
        )
        if magic != _MAGIC:
            raise image.damaged(f"magic {magic:#x} instead of {_MAGIC:#x}")
        if features & ~_FEATURES:
            raise image.unknown(f"features {features & ~_FEATURES:#x}", "make it by mkfs.erofs without -E options")
        if not _SMALLEST_BLOCK <= bits + folder_bits <= _LARGEST_BLOCK:
            raise image.damaged(f"blocks of 2^{bits} bytes")
        self._bits, self._folder_block = bits, 1 << bits + folder_bits
        image.end_at(blocks << bits)
        self._inodes, self._shared = inodes << bits, shared << bits
        self._shared_xattrs: dict[int, tuple[bytes, bytes]] = {}
        self._left = image.size
        """Bytes that folders not read yet can have: no two share any."""

    def entry(self, number: int) -> Entry:
        position = self._inodes + number * _INODE_BYTES
        mode, size, place, uid, gid, layout, body, count = self._inode(position)
        kind = stat.S_IFMT(mode)
        xattrs = self._xattrs(body, count) if count else ()
        if kind == stat.S_IFLNK:
            if size > LONGEST_LINK:
                raise self._image.damaged(f"a symbolic link of {size} bytes")
            target = self._content(size, place, layout, body, count)
            return Entry(mode, uid, gid, 0, target, (0, 0), xattrs)
        is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
        return Entry(
            mode,
            uid,
            gid,
            size if kind == stat.S_IFREG else 0,
            b"",
            decode_device(place) if is_device else (0, 0),
            xattrs,
        )

    def children(self, number: int) -> Iterator[tuple[bytes, int]]:
        _, size, place, _, _, layout, body, count = self._inode(self._inodes + number * _INODE_BYTES)
        self._left -= size
        if self._left < 0:
            raise self._image.damaged("folders with more bytes than it has")
        content = self._content(size, place, layout, body, count)
        for start in range(0, size, self._folder_block):
            yield from self._names(content[start : start + self._folder_block])

    def _names(self, block: bytes) -> Iterator[tuple[bytes, int]]:
        if len(block) < _NAME.size:
            raise self._image.damaged("a folder that ends in the middle of an entry")
        names_at = _NAME.unpack_from(block)[1]
        if not _NAME.size <= names_at <= len(block):
            raise self._image.damaged(f"a folder whose names are at byte {names_at} of a block")
        found = list(_NAME.iter_unpack(block[: names_at // _NAME.size * _NAME.size]))
        ends = [begin for _, begin, _ in found[1:]]
        for (number, begin, _), end in zip(found, [*ends, len(block)], strict=True):
            if not names_at <= begin < end <= len(block):
                raise self._image.damaged(f"a folder with a name from byte {begin} to {end} of a block")
            yield block[begin:end].partition(b"\0")[0] if end == len(block) else block[begin:end], number

    def _inode(self, position: int) -> tuple[int, int, int, int, int, int, int, int]:
        """Mode, size, place of content, owner, group, layout of content, where the xattrs begin, 4-byte units of them."""
        form, count, mode = self._image.unpack(_FORMAT, position)
        if form & 1:
            _, _, _, size, place, uid, gid = self._image.unpack(_EXTENDED, position)
            return mode, size, place, uid, gid, form >> 1 & 7, position + _EXTENDED.size, count
        _, _, _, _, size, place, uid, gid = self._image.unpack(_COMPACT, position)
        return mode, size, place, uid, gid, form >> 1 & 7, position + _COMPACT.size, count

    def _content(self, size: int, place: int, layout: int, body: int, count: int) -> bytes:
        """What a folder or symbolic link holds: whole blocks, of which the last may stand behind the inode."""
        if layout == _PLAIN:
            return self._image.read(place << self._bits, size)
        if layout != _INLINE:
            raise self._image.unknown(f"a folder or symbolic link of layout {layout}", "make it by mkfs.erofs 1.5")
        blocks = (max(size, 1) - 1 >> self._bits) << self._bits
        head = self._image.read(place << self._bits, blocks) if blocks else b""
        return head + self._image.read(body + _xattr_bytes(count), size - blocks)

    def _xattrs(self, position: int, count: int) -> tuple[tuple[bytes, bytes], ...]:
        end = position + _xattr_bytes(count)
        (shared,) = self._image.unpack(_XATTRS, position)
        position += _XATTRS.size
        found = []
        for index in range(shared):
            (where,) = self._image.unpack(_SHARED, position + index * _SHARED.size)
            if where not in self._shared_xattrs:
                self._shared_xattrs[where] = self._xattr(self._shared + where * _SHARED.size)[0]
            found.append(self._shared_xattrs[where])
        position += shared * _SHARED.size
        while position + _XATTR.size <= end:
            xattr, position = self._xattr(position)
            found.append(xattr)
        if position > end:
            raise self._image.damaged("an xattr that is longer than its room")
        return tuple(sorted(found))

    def _xattr(self, position: int) -> tuple[tuple[bytes, bytes], int]:
        """Name and value, and where the next one begins."""
        length, index, size = self._image.unpack(_XATTR, position)
        if index not in _PREFIXES:
            raise self._image.damaged(f"an xattr of kind {index}")
        position += _XATTR.size
        name = _PREFIXES[index] + self._image.read(position, length)
        return (name, self._image.read(position + length, size)), position + length + size + 3 & ~3


def _xattr_bytes(count: int) -> int:
    return _XATTRS.size + (count - 1) * _SHARED.size if count else 0
