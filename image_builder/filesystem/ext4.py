"""ext4, written by mkfs.ext4. It keeps everything, and has a folder ``lost+found`` more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.errors import ToolFailedError
from image_builder.filesystem.ext4_size import BLOCK, needed_bytes, possible_bytes
from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.staging import readable_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from image_builder.filesystem.listing import Listing
    from image_builder.filesystem.source import Source
    from image_builder.run import Runner

COMPRESSIONS = ("none",)
_SMALLEST = 1 << 20
"""Bytes: mkfs.ext4 makes nothing much smaller."""
_BYTES_FOR_AN_INODE = 16384
OWN_INODES = 11
"""Reserved ones, and lost+found, which is the last of them. What mkfs copies gets the ones behind them, without a gap."""
_ROOT = 2
_WASTE = 50
"""A file system of which more than one part in so many is free is made again: its files have holes."""
_LEAST_WASTE = 256
"""Free blocks that are none, however small it is."""
_LONGEST_LABEL = 16


def write_ext4(
    runner: Runner,
    source: Source | None,
    output: Path,
    *,
    uuid: str,
    compression: str = "none",  # noqa: ARG001 - it has none
    epoch: int,
    label: str = "",
    size: int | None = None,
    journal: bool = False,
) -> None:
    """Write ``source``, or nothing, to ``output``: same content, same bytes. ``epoch``: seconds, the time of everything in it.

    ``size`` is in bytes; None is as small as fits.
    ``label`` is cut after 16 bytes. Raises what ``Runner.run`` raises, and OSError; ``output`` may then be half-written.
    """
    # The first name is mke2fs's before 1.47.1. It takes 0 for "not given".
    clock = {"E2FSPROGS_FAKE_TIME": str(max(epoch, 1)), "SOURCE_DATE_EPOCH": str(max(epoch, 1))}
    bare = isinstance(source, FolderSource) and not source.xattrs
    make = _mkfs(uuid, label, journal=journal, grows=size is not None, xattrs=not bare)
    if source is None:
        _fresh(output, size or _SMALLEST)
        runner.run([*make, output], env=clock)
        return
    listing = source.listing()
    inodes = len(listing) + OWN_INODES
    make += ["-N", str(inodes if size is None else max(inodes, size // _BYTES_FOR_AN_INODE))]
    with readable_tree(runner, source, output.parent) as (inside, tree):

        def write(size: int) -> None:
            _fresh(output, size)
            inside.run([*make, "-d", tree, output], env=clock)

        if size is None:
            _write_small(write, output, listing, inodes)
        else:
            write(size)
    orders = "\n".join(_corrections(listing, _used_inodes(output), epoch, all_root=source.owners == "root"))
    # By its last name and in its folder: debugfs takes what follows a ? in a path for options, fails, and exits with 0.
    argv = ["debugfs", "-w", "-f", "-", f"./{output.name}"]
    runner.run(argv, stdin=orders.encode(), env=clock, cwd=output.parent)


def _mkfs(uuid: str, label: str, *, journal: bool, grows: bool, xattrs: bool) -> list[str | Path]:
    # Everything is initialised here: what the kernel would do at the first mount would take time from the first boot.
    # In one option: a second -E takes the place of the first, and the hash seed would be drawn by chance.
    extended = (
        f"hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0{'' if xattrs else ',no_copy_xattrs'}"
    )
    name = label.encode()[:_LONGEST_LABEL].decode(errors="ignore")
    left_out = [*([] if journal else ["^has_journal"]), *([] if grows else ["^resize_inode"])]
    features = ["-O", ",".join(left_out)] if left_out else []
    return ["mkfs.ext4", "-q", "-b", str(BLOCK), "-m", "0", *features, "-L", name, "-U", uuid, "-E", extended]


def _fresh(output: Path, size: int) -> None:
    with output.open("wb") as file:
        file.truncate(size)


def _write_small(write: Callable[[int], None], output: Path, listing: Listing, inodes: int) -> None:
    """Write with the size that is counted from the listing, and again where that was too small, or was too large for holes."""
    needed = needed_bytes(listing, inodes)
    try:
        write(needed)
    except ToolFailedError:
        needed = _roomy(needed, len(listing))
        write(needed)
    blocks, free = _blocks_of(output)
    if free > max(blocks // _WASTE, _LEAST_WASTE):
        write(possible_bytes(blocks - free, inodes))


def _roomy(needed: int, paths: int) -> int:
    """Bytes that are enough for sure: a block of names and one of attributes more for each path."""
    return (needed + needed // 16 + paths * 2 * BLOCK) // BLOCK * BLOCK


def _blocks_of(image: Path) -> tuple[int, int]:
    """All blocks of a file system, and the free ones."""
    superblock = _superblock(image)
    return _word(superblock, 4), _word(superblock, 12)


def _used_inodes(image: Path) -> int:
    superblock = _superblock(image)
    return _word(superblock, 0) - _word(superblock, 16)


def _superblock(image: Path) -> bytes:
    with image.open("rb") as file:
        return file.read(2048)[1024:]


def _word(superblock: bytes, offset: int) -> int:
    return int.from_bytes(superblock[offset : offset + 4], "little")


def _corrections(listing: Listing, last: int, epoch: int, *, all_root: bool) -> Iterator[str]:
    """What debugfs has to set: mkfs.ext4 takes times from the source, and gives the root its own mode and owner."""
    for inode in (_ROOT, *range(OWN_INODES, last + 1)):
        for field in ("atime", "ctime", "mtime"):
            yield f"set_inode_field <{inode}> {field} @{epoch}"
        if all_root:
            yield f"set_inode_field <{inode}> uid 0"
            yield f"set_inode_field <{inode}> gid 0"
    root = listing[b""]
    yield f"set_inode_field <{_ROOT}> mode 0{root.mode:o}"
    yield f"set_inode_field <{_ROOT}> uid {root.uid}"
    yield f"set_inode_field <{_ROOT}> gid {root.gid}"
    yield ""
