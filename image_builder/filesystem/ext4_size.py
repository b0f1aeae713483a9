"""How large an ext4 must be for what is put into it, as mkfs.ext4 lays it out without journal and without room to grow."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image_builder.filesystem.listing import Entry, Listing

BLOCK = 4096
"""Bytes: works on disks of both sector sizes, and a small file system would otherwise get 1024."""
_INODE = 256
"""Bytes."""
_GROUP = 32768
"""Blocks."""
_DESCRIPTOR = 64
"""Bytes of a group's."""
_OWN_BLOCKS = 5
"""The root's and four of lost+found."""
_LEAST = 64
"""Blocks that mkfs makes a file system of."""
_SPARE = 128
"""One part in so many is more than what was counted: names do not fill folders evenly, and files in several pieces have an index."""
_LAST_GROUP = 50
"""Blocks beside its own tables that mkfs wants in the last group; it drops a smaller one."""
_SHORT_LINK = 60
"""Bytes of the target of a link from which on it takes a block."""
_IN_INODE = 92
"""Bytes for extended attributes behind the fields of an inode, and between their magic and the zero at their end."""
_CHECKSUM = 12
"""Bytes at the end of a block of names."""


def needed_bytes(listing: Listing, inodes: int) -> int:
    """Bytes of a file system for ``listing``, a little more than enough: files are counted as if they had no holes."""
    content = _OWN_BLOCKS + sum(_blocks(entry) for path, entry in listing.items() if entry.first in (b"", path))
    content += _folder_blocks(listing)
    content += content // _SPARE
    blocks = content
    while True:
        groups = -(-blocks // _GROUP)
        tables, copies = _tables(groups, inodes)
        total = content + groups * tables + copies
        if total <= blocks:
            return possible_bytes(blocks, inodes)
        blocks = total


def possible_bytes(blocks: int, inodes: int) -> int:
    """Bytes of the smallest file system that can be made of so many blocks or more, those of its tables among them."""
    tables, copies = _tables(-(-blocks // _GROUP), inodes)
    least = tables + copies + _LAST_GROUP
    if blocks > _GROUP and 0 < blocks % _GROUP < least:
        blocks += least - blocks % _GROUP
    return max(blocks, _LEAST) * BLOCK


def _tables(groups: int, inodes: int) -> tuple[int, int]:
    """Blocks of each group's bitmaps and inodes, and of all superblocks with the descriptors that follow them."""
    of_group = -(-inodes // groups)
    superblocks = sum(_has_superblock(group) for group in range(groups))
    return 2 + -(-of_group * _INODE // BLOCK), superblocks * (1 + -(-groups * _DESCRIPTOR // BLOCK))


def _has_superblock(group: int) -> bool:
    """Whether it has a copy: 0, 1 and the powers of 3, 5 and 7 (sparse_super)."""
    return group <= 1 or any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1


def _blocks(entry: Entry) -> int:
    """Of the content of a file or link, and of attributes that the inode has no room for."""
    size = entry.size
    if stat.S_ISLNK(entry.mode) and len(entry.target) >= _SHORT_LINK:
        size = len(entry.target)
    attributes = sum(16 + _four(len(name)) + _four(len(value)) for name, value in entry.xattrs)
    return -(-size // BLOCK) + (attributes > _IN_INODE)


def _folder_blocks(listing: Listing) -> int:
    names: dict[bytes, list[int]] = {}
    for path, entry in listing.items():
        if stat.S_ISDIR(entry.mode):
            names.setdefault(path, [])
        if path:
            folder, _, name = path.rpartition(b"/")
            names.setdefault(folder, []).append(8 + _four(len(name)))
    return sum(_blocks_of_names(sizes) for sizes in names.values())


def _blocks_of_names(sizes: Iterable[int]) -> int:
    """First fit, as mkfs does it, but for the order of the names, which the folder of the source decides on."""
    blocks, free = 1, BLOCK - _CHECKSUM - 24
    for size in sizes:
        if size > free:
            blocks, free = blocks + 1, BLOCK - _CHECKSUM
        free -= size
    return blocks


def _four(size: int) -> int:
    """Rounded up to a multiple of four."""
    return size + 3 & ~3
