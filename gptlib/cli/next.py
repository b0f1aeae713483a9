"""``gptctl next``: the slot that CoreOS's initramfs boots, with its try counted before it is named."""

from __future__ import annotations

from gptlib.cli.common import change, complain, target_of
from gptlib.cli.options import Command
from gptlib.disk import Disk
from gptlib.errors import GptError, TableError
from gptlib.table.priorities import count_try, may_boot, next_root
from gptlib.table.types import COREOS_USR, type_guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.cli.options import Parsed
    from gptlib.table.guid import Guid


def _candidates(paths: Sequence[str], *, scan: bool) -> list[tuple[int, str]]:
    """Rank and path of each disk that has a choice. While scanning, disks that cannot be used are passed over, aloud."""
    kind, found = type_guid(COREOS_USR), []
    for path in paths:
        try:
            with Disk.open(path) as disk:
                table = disk.table()
        except GptError as error:
            if not scan:
                raise
            complain(f"WARNING: passed over: {error}")
            continue
        number = next_root(table, kind)
        if number is not None:
            bits = table.partitions[number].attributes
            found.append((bits.priority if may_boot(bits) else -1, path))
    return found


def _run(parsed: Parsed) -> int:
    scan = not parsed.arguments
    if scan:
        from gptlib.linux.scan import whole_disks

        paths = whole_disks()
    else:
        paths = [target_of(parsed).path]
    candidates = _candidates(paths, scan=scan)
    if not candidates:
        raise TableError(f"{', '.join(paths) or 'no disk found'}: there is no partition of the type {COREOS_USR}")
    # The first of those with the highest priority.
    _, path = max(candidates, key=lambda candidate: candidate[0])
    print(_take(path).text)
    return 0


def _take(path: str) -> Guid:
    """Choose again, now that nobody else can write, and count the try."""
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        number = next_root(table, type_guid(COREOS_USR))
        if number is None:
            raise TableError(f"{path}: the partition of the type {COREOS_USR} has just gone")
        partition = table.partitions[number]
        change(disk, table.with_attributes(number, count_try(partition.attributes)))
    return partition.unique_guid


COMMAND = Command(
    "next",
    "[DRIVE]",
    "Look at all of the system disks, or at DRIVE, and print the UUID of the partition that should be booted.",
    (),
    _run,
    "It is the partition of the type coreos-usr with the highest priority and either a non-zero tries field or the\n"
    "successful flag; where none has either, the first one. A non-zero tries field is decremented, durably, before\n"
    "anything is printed. The policies of GRUB and ChromeOS are in bootselect next.",
)
