"""``gptctl create``: a new, empty table, or (-z) none at all."""

from __future__ import annotations

import os

from gptlib._files import remove
from gptlib.cli.common import whole_disk
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.errors import TargetError
from gptlib.table.table import SECTOR_SIZES, Table
from gptlib.write.image import extend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed
    from gptlib.table.guid import Guid

_MAX_BYTES = (1 << 63) - 1


def _run(parsed: Parsed) -> int:
    asked = parsed.number("sector-size")
    if asked is not None and asked not in SECTOR_SIZES:
        raise UsageError(f"--sector-size is {asked}; it must be 512 or 4096")
    sector_size = asked or SECTOR_SIZES[0]
    sectors = parsed.number("s", 1, _MAX_BYTES // sector_size)
    padding, guid = parsed.number("p") or 0, parsed.guid("g")
    if parsed.has("c") and sectors is None:
        raise UsageError("minimum size (-s) is required with create (-c)")
    path, made = _image(parsed, (sectors or 0) * sector_size)
    try:
        with Disk.open(path, write=True) as disk:
            if parsed.has("z"):
                disk.erase()
            else:
                _create(disk, sectors or 0, asked, padding, guid)
    except BaseException:
        if made:
            remove(path)
        raise
    return 0


def _create(disk: Disk, sectors: int, asked: int | None, padding: int, guid: Guid | None) -> None:
    device = disk.device
    size = device.sector_size or asked or SECTOR_SIZES[0]
    wanted = max(device.size, sectors * size)
    if asked not in {None, size}:
        raise TargetError(disk.path, f"has sectors of {size} bytes; --sector-size is for image files")
    if wanted > device.size and device.sector_size is not None:
        raise TargetError(disk.path, f"has {device.size // size} sectors, less than the {sectors} asked for with -s")
    table = Table.new(total_sectors=wanted // size, sector_size=size, disk_guid=guid, padding=padding)
    if wanted > device.size:
        extend(disk, wanted)
    disk.create(table)


def _image(parsed: Parsed, size: int) -> tuple[str, bool]:
    """The target, and whether it had to be made (-c)."""
    if not parsed.has("c"):
        return whole_disk(parsed), False
    path = parsed.argument()
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return whole_disk(parsed), False
    except OSError as error:
        raise TargetError(path, f"cannot be created: {error.strerror}") from error
    try:
        os.truncate(fd, size)
    except OSError as error:
        remove(path)
        raise TargetError(path, f"cannot be made {size} bytes large: {error.strerror}") from error
    finally:
        os.close(fd)
    return path, True


COMMAND = Command(
    "create",
    "DRIVE",
    "Create or reset an empty GPT, with a protective MBR. Boot code in the MBR stays.",
    (
        Option("c", "", "Create disk image file if needed. Requires -s"),
        Option("s", "NUM", "Minimum disk sectors, extends image files"),
        Option("z", "", "Zero the sectors of the GPT headers and entries"),
        Option("g", "GUID", "The desired disk GUID"),
        Option("p", "NUM", "Sectors of padding between the primary GPT header\nand its entries, default 0"),
        Option("", "NUM", "Sector size of an image file, 512 or 4096, default 512", "sector-size"),
    ),
    _run,
)
