"""What file system an image or a slot holds, and how long it is: told from its first 4 KiB.

All three have a superblock in there. squashfs is looked for first: its superblock stands at 0, where the others keep a kilobyte for a
boot sector, and its data may hold anything at the places of theirs. In the same way a UUID of erofs covers the magic of ext4.
"""

from __future__ import annotations

from gptlib._record import Record

HEAD = 4096
"""Bytes that tell."""
LARGEST_SECTOR = 4096
"""Bytes. Of disks that there are, and of dm-verity over a sealed slot."""
SQUASHFS, EROFS, EXT4 = "squashfs", "erofs", "ext4"
"""As ``mount -t`` and the kernel's modules call them."""
FILE_SYSTEMS = (EROFS, SQUASHFS, EXT4)
"""Those that are known."""

# fs/squashfs/squashfs_fs.h, struct squashfs_super_block: s_magic, bytes_used
_SQUASHFS_MAGIC, _BYTES_USED = (0, b"hsqs"), slice(40, 48)
# fs/erofs/erofs_fs.h, struct erofs_super_block at 1024: magic, blkszbits, blocks, uuid
_EROFS_MAGIC, _EROFS_BITS = (1024, b"\xe2\xe1\xf5\xe0"), slice(1036, 1037)
_EROFS_BLOCKS, _EROFS_UUID = slice(1060, 1064), slice(1072, 1088)
# fs/ext4/ext4.h, struct ext4_super_block at 1024: s_magic, s_log_block_size, s_blocks_count_lo and _hi, s_feature_incompat, s_uuid
_EXT4_MAGIC, _EXT4_SHIFT = (1080, b"\x53\xef"), slice(1048, 1052)
_EXT4_LOW, _EXT4_HIGH = slice(1028, 1032), slice(1360, 1364)
_EXT4_INCOMPATIBLE, _EXT4_RECOVER, _EXT4_64BIT = slice(1120, 1124), 0x4, 0x80
_EXT4_UUID = slice(1128, 1144)
_LARGEST_SHIFT = 6
"""Of blocks of 1 KiB: the kernel knows none above 64 KiB."""


class FileSystem(Record):
    """``name`` is what ``mount -t`` takes, ``size`` is in bytes, from the superblock; ``uuid`` has 16 bytes, or none.

    ``unfinished``: its journal has to be replayed, which cannot be done where it is read-only. ``block`` is in bytes: no device with
    larger sectors can be mounted (``LARGEST_SECTOR``); 0 where any will do. ext2 and ext3 are ``ext4``,
    whose driver mounts them.
    """

    name: str
    size: int
    uuid: bytes = b""
    unfinished: bool = False
    block: int = 0


def filesystem_of(head: bytes) -> FileSystem | None:
    """The file system that begins with these 4 KiB, or None where it is none that is known."""
    if head.startswith(_SQUASHFS_MAGIC[1], _SQUASHFS_MAGIC[0]):
        return FileSystem(SQUASHFS, _number(head[_BYTES_USED]))
    if head.startswith(_EROFS_MAGIC[1], _EROFS_MAGIC[0]):
        return FileSystem(EROFS, _number(head[_EROFS_BLOCKS]) << _number(head[_EROFS_BITS]), head[_EROFS_UUID])
    if head.startswith(_EXT4_MAGIC[1], _EXT4_MAGIC[0]):
        features, shift = _number(head[_EXT4_INCOMPATIBLE]), _number(head[_EXT4_SHIFT])
        blocks = _number(head[_EXT4_LOW])
        if features & _EXT4_64BIT:
            blocks |= _number(head[_EXT4_HIGH]) << 32
        block = 1024 << shift if shift <= _LARGEST_SHIFT else 0
        return FileSystem(EXT4, blocks * block, head[_EXT4_UUID], bool(features & _EXT4_RECOVER), block)
    return None


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
