"""Recognises the members of Linux software RAID (md) arrays by the superblock that stands on each of them.

A table on a member belongs to the array: whoever writes it on one member alone takes the members apart. Where the superblocks stand and
what is in them: md(4), and struct mdp_super_block and mdp_superblock_1 in linux/raid/md_p.h.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MAGIC = 0xA92B4EFC
_RESERVED = 64 << 10
"""Metadata 0.90 lies in the last whole 64 KiB of the device."""
_FROM_END = 8 << 10
"""Metadata 1.0 lies 8 to 12 KiB before the end, on a multiple of 4 KiB."""
_NEEDED = 256
"""Bytes of a superblock of version 1 without its list of devices."""
_MAJOR, _SUPER_OFFSET = slice(4, 8), slice(144, 152)
_SECTOR = 512


def is_md_member(read: Callable[[int, int], bytes], size: int, taken: Iterable[tuple[int, int]] = ()) -> bool:
    """Whether a device of ``size`` bytes is a member of an md array (metadata 0.90, 1.0, 1.1 or 1.2).

    ``read(offset, length)`` gives bytes, fewer or none where nothing can be read. ``taken`` are places, in bytes from (inclusive) to
    (exclusive), that are not read: what stands there belongs to something else. Give the partitions: a superblock in the
    last one is that partition's own, as for libblkid. A place that reaches beyond the device does not count: it is a
    partition of a larger array. The checksum is not asked for: a member whose superblock is damaged must not be
    written alone.
    """
    places = [(start, end) for start, end in taken if end <= size]
    return any(
        has_superblock(read(offset, _NEEDED), offset)
        for offset, has_superblock in _candidates(size)
        if not any(start <= offset < end for start, end in places)
    )


def _candidates(size: int) -> Iterator[tuple[int, Callable[[bytes, int], bool]]]:
    if size >= 2 * _RESERVED:
        yield size // _RESERVED * _RESERVED - _RESERVED, _is_version_0
    if size >= _FROM_END + 4096:
        yield size // 4096 * 4096 - _FROM_END, _is_version_1
        yield 0, _is_version_1
        yield 4096, _is_version_1


def _is_version_0(block: bytes, _: int) -> bool:
    # Version 0.90 has the byte order of the machine that made it.
    return block[:4] in {_MAGIC.to_bytes(4, "little"), _MAGIC.to_bytes(4, "big")}


def _is_version_1(block: bytes, offset: int) -> bool:
    return (
        len(block) >= _NEEDED
        and int.from_bytes(block[:4], "little") == _MAGIC
        and int.from_bytes(block[_MAJOR], "little") == 1
        and int.from_bytes(block[_SUPER_OFFSET], "little") * _SECTOR == offset
    )
