"""What other formats keep in the last sectors of a device: a backup that moves to the end would destroy it.

The places and magic numbers are those of libblkid (superblocks that are looked for from the end of a device), of the fixed VHD,
whose footer follows the disk, and of FreeBSD's GEOM, whose mirrors keep a table for one sector less. Where libblkid also checks
a sum, this does not: to take too much for a signature leaves the backup where it is, which every reader of the primary can live
with.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Peek = Callable[[int, int], bytes]
    """(offset, length in bytes) -> bytes; empty where nothing can be read."""

_SECTOR = 512
_MD = (b"\xfc\x4e\x2b\xa9", b"\xa9\x2b\x4e\xfc")
_DRBD = tuple((0x8374026B + version).to_bytes(4, "big") for version in range(5))
_PROMISE = (63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087)
_ZFS_LABEL = 256 << 10
_ZFS = (b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c")


def _from_end(*sectors: int) -> Callable[[int], tuple[int, ...]]:
    return lambda size: tuple((size // _SECTOR - back) * _SECTOR for back in sectors)


def _nilfs(size: int) -> tuple[int, ...]:
    # The kernel counts in blocks of 4 KiB, libblkid in sectors.
    return (size // 4096 - 1) * 4096, size // _SECTOR * _SECTOR - 4096


_FORMATS: tuple[tuple[str, Callable[[int], tuple[int, ...]], int, tuple[bytes, ...]], ...] = (
    ("the footer of a VHD", _from_end(1), 0, (b"conectix",)),
    ("a member of an md array (metadata 1.0)", lambda size: ((size // _SECTOR - 16 & ~7) * _SECTOR,), 0, _MD),
    ("a member of an md array (metadata 0.90)", lambda size: ((size // _SECTOR & ~127) * _SECTOR - 65536,), 0, _MD),
    ("a member of a DDF array", _from_end(1, 257), 0, (b"\xde\x11\xde\x11", b"\x11\xde\x11\xde")),
    ("a member of an Intel array", _from_end(2, 16), 0, (b"Intel Raid ISM Cfg Sig. ",)),
    ("a member of an LSI array", _from_end(1), 0, (b"$XIDE$",)),
    ("a member of an NVIDIA array", _from_end(2), 0, (b"NVIDIA",)),
    ("a member of a JMicron array", _from_end(1), 0, (b"JM",)),
    ("a member of a Silicon Image array", _from_end(1), 0x60, (b"\x00\x00\x00\x2f",)),
    ("a member of a VIA array", _from_end(1), 0, (b"\x55\xaa",)),
    ("a member of an Adaptec array", _from_end(1), 0, (b"\x37\xfc\x4d\x1e",)),
    ("a member of a HighPoint array", _from_end(11), 0, (b"\xf3\x16\x78\x5a", b"\xfd\x16\x78\x5a")),
    ("a member of a Promise array", _from_end(*_PROMISE), 0, (b"Promise Technology, Inc.",)),
    ("metadata of DRBD", _from_end(8), 60, _DRBD),
    ("a backup superblock of nilfs2", _nilfs, 0, (b"\2\0\0\0\0\0\x34\x34",)),
    ("metadata of FreeBSD's GEOM", _from_end(1), 0, (b"GEOM::",)),
)


def signature_at_end(peek: Peek, size: int) -> str:
    """What stands at the end of a device of ``size`` bytes, in words; empty where nothing known does."""
    for name, places, at, magics in _FORMATS:
        for offset in places(size):
            if offset >= 0 and peek(offset + at, len(magics[0])) in magics:
                return name
    return _zfs(peek, size)


def _zfs(peek: Peek, size: int) -> str:
    # The last label holds an array of 128 uberblocks of at least 1 KiB in its second half.
    label = size // _ZFS_LABEL * _ZFS_LABEL - _ZFS_LABEL
    ring = peek(label + _ZFS_LABEL // 2, _ZFS_LABEL // 2) if label >= 0 else b""
    found = any(ring[at : at + 8] in _ZFS for at in range(0, len(ring), 1024))
    return "a member of a ZFS pool" if found else ""
