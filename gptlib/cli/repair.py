"""``gptctl repair``: writes a damaged copy again from the good one, and moves the backup to the end of a grown disk."""

from __future__ import annotations

from gptlib.cli.common import target_of
from gptlib.cli.options import Command, Option
from gptlib.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gptlib.cli.options import Parsed
    from gptlib.read.state import State
    from gptlib.table.table import Table
    from gptlib.write.plan import Epoch


def _parts(table: Table, before: State, epochs: Sequence[Epoch]) -> Iterator[str]:
    """The parts of ``table`` that were repaired, in the order and the words of cgpt.

    Entries whose header was bad count as repaired, as in cgpt, even where they were good and not written again.
    """
    written = {write.lba for epoch in epochs for write in epoch}
    if not (before.primary.header_ok or before.primary.ignored):
        written.add(table.primary_entries_lba)
    if not (before.backup.header_ok or before.backup.ignored):
        written.add(table.backup_entries_lba)
    length = table.entries_sectors
    for name, first, sectors in (
        ("Primary Header", 1, 1),
        ("Primary Entries", table.primary_entries_lba, length),
        ("Secondary Entries", table.backup_entries_lba, length),
        ("Secondary Header", table.backup_lba, 1),
        ("Protective MBR", 0, 1),
    ):
        if any(first <= lba < first + sectors for lba in written):
            yield name


def _run(parsed: Parsed) -> int:
    with Disk.open(target_of(parsed).path, write=True) as disk:
        before = disk.read()
        if parsed.has("v"):
            print("GptValidityCheck() returned 0: GPT_SUCCESS")
        epochs = disk.repair(force=parsed.has("f"))
        table = disk.table()
        for part in _parts(table, before, epochs):
            print(f"{part} is updated.")
        # A kernel without 'gpt' on its command line shows no partitions while the primary is damaged.
        disk.tell_kernel(table)
    return 0


COMMAND = Command(
    "repair",
    "DRIVE",
    "Repair damaged GPT headers and tables. A good copy is never touched before the other one is good.",
    (
        Option("v", "", "Verbose"),
        Option("f", "", "Write even where something stands that is not part of a table", "force"),
    ),
    _run,
    "Moves the backup to the end of a disk that was grown, and makes a protective MBR where there is no MBR at all.\n"
    "Refuses, without -f, where a boot loader or the like stands in the place of a copy, and where the disk ends with\n"
    "a signature of another format. What lies in a partition is never written over.",
)
