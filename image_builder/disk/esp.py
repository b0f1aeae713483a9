"""The EFI system partition: a FAT file system with the one program that the firmware starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.definition.identity import derived_uuid
from image_builder.epoch import EPOCH
from image_builder.errors import TooLargeError

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import Definition, PartitionDefinition
    from image_builder.run import Runner

BOOT_PROGRAM = ("EFI", "BOOT", "BOOTX64.EFI")
"""What firmware starts from a disk that it has no boot entry for (UEFI 2.10 section 3.5.1.1)."""
_FAT32_CLUSTERS = 65525
"""A FAT file system is FAT32 from this number of clusters on (Microsoft's FAT specification, section 3.5)."""
_FIXED_BYTES = 256 << 10
"""Reserved sectors, root folder, EFI, BOOT, and the rest of the last cluster: less than this, whatever the sector size."""


def make_esp(runner: Runner, output: Path, uki: Path, definition: Definition, partition: PartitionDefinition) -> None:
    """Write the file system to ``output``; same inputs, same bytes. Raises TooLargeError and what ``Runner.run`` raises."""
    size = uki.stat().st_size
    # Two tables of four bytes for each cluster of at least 512 bytes.
    needed = size + size // 60 + _FIXED_BYTES
    if needed > partition.size:
        raise TooLargeError(uki, needed, partition.size, f"partition {partition.label}")
    with output.open("wb") as file:
        file.truncate(partition.size)
    sector = definition.sector_size
    # With large sectors a FAT32 would need some 260 MiB; without -F mkfs.fat takes FAT12 or FAT16 as the size allows.
    fat32 = ["-F", "32"] if partition.size // sector > _FAT32_CLUSTERS * 33 // 32 else []
    volume_id = derived_uuid(definition.seed, f"fat {partition.label}")[:8]
    label = partition.label[:11].upper()
    runner.run(["mkfs.fat", "--invariant", *fat32, "-S", str(sector), "-i", volume_id, "-n", label, output])
    fixed = {"SOURCE_DATE_EPOCH": str(EPOCH), "MTOOLS_SKIP_CHECK": "1"}
    # By its last name and in its folder: mtools takes what follows the first @@ of a path for an offset.
    image, here = f"./{output.name}", output.parent
    *folders, program = BOOT_PROGRAM
    place = "::"
    for folder in folders:
        place = f"{place}/{folder}"
        runner.run(["mmd", "-i", image, place], env=fixed, cwd=here)
    runner.run(["mcopy", "-i", image, uki, f"{place}/{program}"], env=fixed, cwd=here)
