"""``gptctl boot``: the boot GUID and the boot code in the MBR, as syslinux's gptmbr and ChromeOS use them."""

from __future__ import annotations

from gptlib._files import read_bytes
from gptlib.cli.common import entry_number, target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.errors import TargetError
from gptlib.layout.compiled import MBR_SIZE, BootCodeBytes, MbrBytes
from gptlib.table.guid import Guid
from gptlib.table.mbr import BOOT_GUID_MARK, protective_mbr
from gptlib.write.mbr import write_mbr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed

_LEAST = 2 * 512
"""Bytes of the smallest thing that cgpt takes for a disk."""


def _boot_code(name: str) -> bytes:
    try:
        code = read_bytes(name, BootCodeBytes.code.stop)
    except OSError as error:
        raise UsageError(f"can't read {name}: {error.strerror}") from None
    if not code:
        raise UsageError(f"problem reading {name}: it is empty")
    return code


def _run(parsed: Parsed) -> int:
    number, name, protect = parsed.number("i") or None, parsed.text("b"), parsed.has("p")
    code = None if name is None else _boot_code(name)
    write = protect or code is not None or number is not None
    with Disk.open(target_of(parsed).path, write=write) as disk:
        if disk.device.size < _LEAST:
            raise TargetError(disk.path, f"has only {disk.device.size} bytes; give a disk or a whole disk image")
        state = disk.examine()
        mbr = bytearray(disk.device.read(0, MBR_SIZE))
        if protect:
            # A new one, as cgpt's: what the records held before does not stay.
            mbr[:] = protective_mbr(bytes(mbr[: MbrBytes.partition_records.start]), state.total_sectors)
            mbr[MbrBytes.unknown] = BOOT_GUID_MARK
        if number is not None:
            table = disk.table()
            mbr[BootCodeBytes.boot_guid] = table.entries.entry(entry_number(table, number)).unique_guid
        if code is not None:
            mbr[: len(code)] = code
        if write:
            write_mbr(disk, bytes(mbr))
    print(Guid(bytes(mbr[BootCodeBytes.boot_guid])))
    return 0


COMMAND = Command(
    "boot",
    "DRIVE",
    "Edit the PMBR sector for legacy BIOSes",
    (
        Option("i", "NUM", "Set bootable partition"),
        Option("b", "FILE", "Install bootloader code in the PMBR (424 bytes at most)"),
        Option("p", "", "Create legacy PMBR partition table"),
    ),
    _run,
    "With no options, it will just print the PMBR boot guid",
)
