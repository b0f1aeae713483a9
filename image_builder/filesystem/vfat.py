"""FAT file systems, for the EFI system partition."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from image_builder.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from image_builder.run import Runner

_FAT32_CLUSTERS = 65525
"""A FAT file system is FAT32 from this number of clusters on (Microsoft's FAT specification, section 3.5)."""
_FIXED_BYTES = 256 << 10
"""Reserved sectors, root folder, a few folders, and the rest of the last clusters: less than this, whatever the sector size."""
_CLUSTER = 32 << 10
"""Bytes of the largest cluster: what a file may waste."""


def fat_size(files: Mapping[str, Path]) -> int:
    """Bytes that a file system with these files needs at most: two tables of four bytes for each cluster of 512 bytes."""
    size = sum(file.stat().st_size for file in files.values())
    return size + size // 60 + _FIXED_BYTES + _CLUSTER * max(0, len(files) - 1)


def write_fat(
    runner: Runner,
    output: Path,
    files: Mapping[str, Path],
    *,
    label: str,
    size: int,
    sector_size: int,
    volume_id: str,
    epoch: int,
) -> None:
    """Write a file system of ``size`` bytes with ``files`` by their paths in it; same inputs, same bytes.

    ``volume_id`` are eight hexadecimal digits; ``sector_size`` is that of the disk, in bytes; ``epoch`` in seconds. Raises TooLargeError, and what
    ``Runner.run`` raises.
    """
    needed = fat_size(files)
    if needed > size:
        largest = max(files.values(), key=lambda file: file.stat().st_size)
        raise TooLargeError(largest, needed, size, f"partition {label}")
    with output.open("wb") as file:
        file.truncate(size)
    # With large sectors a FAT32 would need some 260 MiB; without -F mkfs.fat takes FAT12 or FAT16 as the size allows.
    fat32 = ["-F", "32"] if size // sector_size > _FAT32_CLUSTERS * 33 // 32 else []
    name = label[:11].upper()
    runner.run(["mkfs.fat", "--invariant", *fat32, "-S", str(sector_size), "-i", volume_id, "-n", name, output])
    fixed = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    # By its last name and in its folder: mtools takes what follows the first @@ of a path for an offset.
    image, here = f"./{output.name}", output.parent
    for folder in _folders(files):
        runner.run(["mmd", "-i", image, f"::/{folder}"], env=fixed, cwd=here)
    # One by one and sorted: mcopy -s takes them in the order in which the folder has them.
    for path, source in sorted(files.items()):
        runner.run(["mcopy", "-i", image, source, f"::/{path}"], env=fixed, cwd=here)


def _folders(files: Mapping[str, Path]) -> list[str]:
    """The folders above the files, outer ones first; FAT does not tell capitals apart."""
    found: dict[str, str] = {}
    for path in files:
        for folder in reversed(PurePosixPath(path).parents[:-1]):
            found.setdefault(str(folder).upper(), str(folder))
    return sorted(found.values(), key=lambda folder: (folder.count("/"), folder))
