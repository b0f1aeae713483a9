"""``gptctl restore``: makes a dumped table the table of a disk."""

from __future__ import annotations

from gptlib.cli.common import report, whole_disk
from gptlib.cli.options import Command, Option, UsageError
from gptlib.cli.textform import read_dump
from gptlib.disk import Disk
from gptlib.errors import TableError
from gptlib.layout.compiled import MbrBytes
from gptlib.read.checks import table_findings
from gptlib.table.mbr import PROTECTIVE, classify, protective_mbr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed
    from gptlib.table.table import Table

_BOOT_CODE = MbrBytes.boot_code.stop


def _fitted(disk: Disk, table: Table, *, fit: bool) -> Table:
    size = disk.device.sector_size or table.sector_size
    total = disk.device.size // size
    if size == table.sector_size and total != table.total_sectors and fit:
        return table.relocate(total)
    if (size, total) != (table.sector_size, table.total_sectors):
        raise TableError(
            f"{disk.path}: it has {total} sectors of {size} bytes, the dump is for {table.total_sectors} of "
            f"{table.sector_size}; --fit moves the end of the table to the end of the disk"
        )
    return table


def _run(parsed: Parsed) -> int:
    if len(parsed.arguments) != 2:
        raise UsageError("a dump (- for stdin) and a drive are expected")
    dump = read_dump(parsed.arguments[0])
    with Disk.open(whole_disk(parsed.with_arguments(parsed.arguments[1:])), write=True) as disk:
        table, mbr = _fitted(disk, dump.table, fit=parsed.has("f")), dump.mbr
        if table.total_sectors != dump.table.total_sectors and classify(mbr) == PROTECTIVE:
            mbr = protective_mbr(mbr, table.total_sectors)
        if parsed.has("k"):
            mbr = disk.examine().mbr[:_BOOT_CODE].ljust(_BOOT_CODE, b"\0") + mbr[_BOOT_CODE:]
        report(disk.path, table_findings(table))
        disk.create(table, mbr=mbr)
    return 0


COMMAND = Command(
    "restore",
    "DUMP DRIVE",
    "Make the table in a dump (- for stdin) the table of a disk, with its MBR. What is in the partitions stays.",
    (
        Option("f", "", "The disk may have another size: move the backup to its end", "fit"),
        Option("k", "", "Keep the boot code of the disk instead of that of the dump", "keep-boot-code"),
    ),
    _run,
    usage_exit=2,
)
