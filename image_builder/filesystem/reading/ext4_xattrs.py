"""Extended attributes of ext4: behind the fields of an inode, in a block of their own, or in inodes of their own."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception
from typing import TYPE_CHECKING, NamedTuple

from image_builder.filesystem import acl

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_builder.filesystem.reading.image import Image

LARGEST_VALUE = 65536
"""XATTR_SIZE_MAX, bytes."""
_MAGIC = (0xEA020000).to_bytes(4, "little")
_BLOCK_HEADER_BYTES = 32
_ENTRY = Struct("<BBHIII")
"""Bytes of the name, kind, where the value is, in which inode, its bytes, hash."""
_PREFIXES = {
    1: b"user.",
    2: acl.ACCESS,
    3: acl.DEFAULT,
    4: b"trusted.",
    6: b"security.",
    7: b"system.",
    8: b"system.richacl",
}
_INLINE_DATA = b"system.data"
"""No xattr for the kernel: the rest of a small file or folder."""


class Xattr(NamedTuple):
    """One of them, as it is stored."""

    name: bytes
    value: bytes
    inode: int
    """That has the value, or 0."""
    size: int


def in_inode(room: bytes) -> bytes:
    """The entries behind the fields of an inode, or nothing."""
    return room[len(_MAGIC) :] if room.startswith(_MAGIC) else b""


def in_block(image: Image, block: bytes) -> list[Xattr]:
    """Those of a block that only holds xattrs."""
    if not block.startswith(_MAGIC):
        raise image.damaged("a block of xattrs without their magic")
    return entries(image, block, _BLOCK_HEADER_BYTES)


def entries(image: Image, room: bytes, position: int) -> list[Xattr]:
    """Those that begin at ``position``; where their values are is counted from the beginning of ``room``."""
    found = []
    while room[position : position + 4].strip(b"\0"):
        try:
            length, kind, place, inode, size, _ = _ENTRY.unpack_from(room, position)
        except StructError:
            raise image.damaged("xattrs that are cut off") from None
        start = position + _ENTRY.size
        name, value = room[start : start + length], b"" if inode else room[place : place + size]
        if kind not in _PREFIXES or len(name) != length or (not inode and len(value) != size):
            raise image.damaged(f"an xattr of kind {kind} with {size} bytes at byte {place} of {len(room)}")
        found.append(Xattr(_PREFIXES[kind] + name, value, inode, size))
        position = start + (length + 3 & ~3)
    return found


def inline_data(xattrs: list[Xattr]) -> bytes:
    """The rest of what does not fit into the inode."""
    return next((xattr.value for xattr in xattrs if xattr.name == _INLINE_DATA), b"")


def as_the_kernel_shows(
    image: Image, xattrs: list[Xattr], value_of: Callable[[int, int], bytes]
) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values; ``value_of`` fetches that of an inode of ``size`` bytes."""
    shown = []
    for name, stored, inode, size in xattrs:
        if name == _INLINE_DATA:
            continue
        value = value_of(inode, size) if inode else stored
        if name in (acl.ACCESS, acl.DEFAULT):
            try:
                value = acl.from_ext4(value)
            except (ValueError, StructError) as error:
                raise image.damaged(f"{name.decode()} cannot be read: {error}") from error
        shown.append((name, value))
    return tuple(sorted(shown))
