"""A block map for ``bmaptool copy``: which blocks of the raw image have to be written to a medium, and their checksums.

Version 2.0 of the format of Intel's bmap-tools (in the comment of its own files). A medium keeps what it holds in blocks that are
not in the map, so zeros count: a hash tree, a partition table or a file allocation table is wrong without them. Left out are only

- zeros that lie in no partition and in no table of them;
- zeros behind the end of an erofs or squashfs, which says where it ends, and of what follows it (the hash tree);
- the zeros of a partition that holds nothing else.

The last MiB of a partition is in the map all the same, and the first one of an empty partition: an old file system or RAID on the
medium would be recognised there.

Of a file system that can be written (ext4, FAT) all blocks are in the map: which of its zeros mean something, only it knows.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from bootselect.formats.filesystem import filesystem_of
from gptlib.disk import Disk
from image_builder.cache import replacing
from image_builder.output.blocks import used_blocks
from image_builder.output.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

    from image_builder.run import Runner

_BLOCK = 4096
_MIB_BLOCKS = (1 << 20) // _BLOCK
_CHUNK = 1 << 20
_NO_CHECKSUM = "0" * 64
_XML = """\
<?xml version="1.0" ?>
<!-- Blocks of a disk image that have to be written: see bmaptool(1). -->
<bmap version="2.0">
    <ImageSize> {size} </ImageSize>
    <BlockSize> {block} </BlockSize>
    <BlocksCount> {blocks} </BlocksCount>
    <MappedBlocksCount> {mapped} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {checksum} </BmapFileChecksum>
    <BlockMap>
{ranges}
    </BlockMap>
</bmap>
"""

Range = tuple[int, int]
"""First and last block."""


def map_blocks(raw: Path) -> list[Range]:
    """The ranges that have to be written, in order and apart from each other. Raises gptlib's errors and OSError."""
    with Disk.open(raw) as disk:
        table = disk.table()
    with raw.open("rb") as file:
        used = [number for number, _ in used_blocks(file, _BLOCK)]
        needed: list[Range] = [(number, number) for number in used]
        # A table is wrong with anything but zeros in its unused entries.
        head, tail = table.first_usable_lba * table.sector_size, (table.last_usable_lba + 1) * table.sector_size
        needed += [(0, (head - 1) // _BLOCK), (tail // _BLOCK, (raw.stat().st_size - 1) // _BLOCK)]
        for partition in table.partitions.values():
            start, end = (lba * table.sector_size for lba in (partition.first_lba, partition.last_lba + 1))
            needed += _needed_of(file, start, end, used)
    return _joined(needed)


def _needed_of(file: BinaryIO, start: int, end: int, used: list[int]) -> list[Range]:
    """What has to be written of a partition from byte ``start`` to ``end``, besides the blocks of the disk that are not zero."""
    first, last = start // _BLOCK, (end - 1) // _BLOCK
    file.seek(start)
    found = filesystem_of(file.read(_BLOCK))
    known = found.size if found else 0
    behind = bisect_right(used, last)
    inside = behind > bisect_left(used, first)
    tail = (max(first, last - _MIB_BLOCKS + 1), last)
    if not inside:
        return [(first, min(last, first + _MIB_BLOCKS - 1)), tail]
    if not known:
        return [(first, last)]
    return [(first, min(last, max(used[behind - 1], (start + known - 1) // _BLOCK))), tail]


def _joined(ranges: Iterable[Range]) -> list[Range]:
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def _digest(file: BinaryIO, first: int, last: int) -> str:
    digest = hashlib.sha256()
    file.seek(first * _BLOCK)
    left = (last - first + 1) * _BLOCK
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def block_map(raw: Path) -> str:
    """The block map of a disk image as XML. Raises as ``map_blocks``."""
    size, ranges = raw.stat().st_size, map_blocks(raw)
    with raw.open("rb") as file:
        lines = [
            f'        <Range chksum="{_digest(file, first, last)}"> {first if first == last else f"{first}-{last}"} </Range>'
            for first, last in ranges
        ]
    text = _XML.format(
        size=size,
        block=_BLOCK,
        blocks=-(-size // _BLOCK),
        mapped=sum(last - first + 1 for first, last in ranges),
        checksum=_NO_CHECKSUM,
        ranges="\n".join(lines),
    )
    # The checksum of the file is made with zeros in its place.
    return text.replace(_NO_CHECKSUM, hashlib.sha256(text.encode()).hexdigest(), 1)


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (no program, no time)
    text = block_map(raw)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="ascii")


BMAP = Output("bmap", ".bmap", (), "a block map, with which 'bmaptool copy' flashes the raw image fast", _write)
