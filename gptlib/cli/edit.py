"""``gptctl edit``: changes the disk GUID."""

from __future__ import annotations

from gptlib.cli.common import change, target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed


def _run(parsed: Parsed) -> int:
    guid, target = parsed.guid("u"), target_of(parsed)
    if guid is None:
        raise UsageError("no parameters were edited; give -u")
    with Disk.open(target.path, write=True) as disk:
        change(disk, disk.table()._replace(disk_guid=guid))
    return 0


COMMAND = Command("edit", "DRIVE", "Edit a drive's parameters.", (Option("u", "GUID", "Drive Unique ID"),), _run)
