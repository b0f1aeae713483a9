"""``gptctl prioritize``: reorders the priorities of the slots of one type."""

from __future__ import annotations

from gptlib.cli.common import change, entry_number, target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.errors import TableError
from gptlib.table.attributes import MAX_PRIORITY
from gptlib.table.priorities import prioritize
from gptlib.table.types import CHROMEOS_KERNEL, COREOS_USR, is_slot_type, type_guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


def _kind(path: str, table: Table, number: int | None) -> Guid | None:
    """The type to reorder: that of the given partition, else the first family that this disk has slots of."""
    if number is not None:
        partition = table.partitions.get(entry_number(table, number))
        if partition is None or not is_slot_type(partition.type_guid):
            raise TableError(
                f"{path}: partition {number} is not of a slot type (such as {COREOS_USR}, {CHROMEOS_KERNEL})"
            )
        return partition.type_guid
    present = {partition.type_guid for partition in table.partitions.values()}
    for kind in (type_guid(CHROMEOS_KERNEL), type_guid(COREOS_USR)):
        if kind in present:
            return kind
    return next((kind for kind in sorted(present) if is_slot_type(kind)), None)


def _run(parsed: Parsed) -> int:
    highest, friends = parsed.number("P", 1, MAX_PRIORITY), parsed.has("f")
    target = target_of(parsed)
    if friends and target.partition is None:
        raise UsageError("the -f option is only useful with the -i option")
    with Disk.open(target.path, write=True) as disk:
        table = disk.table()
        kind = _kind(target.path, table, target.partition)
        if kind is not None:
            change(disk, prioritize(table, kind, index=target.partition, highest=highest, friends=friends))
    return 0


COMMAND = Command(
    "prioritize",
    "DRIVE",
    "Reorder the priority of all active slots.",
    (
        Option(
            "P",
            "NUM",
            "Highest priority to use in the new ordering. The other\npartitions will be ranked in decreasing priority while\n"
            "preserving their original order. If necessary the lowest\nranks will be coalesced. No active slot will be lowered\n"
            "to priority 0.",
        ),
        Option(
            "i", "NUM", "Specify the partition to make the highest in the new\norder (also: give its node as DRIVE)."
        ),
        Option(
            "f",
            "",
            "Friends of the given partition (those with the same\nstarting priority) are also updated to the new highest\n"
            "priority.",
        ),
    ),
    _run,
    "With no options this will set the lowest active slot to priority 1 while maintaining the original order.\n"
    "Slots are the partitions of the type of -i, else the ChromeOS kernels, else those of the type coreos-usr.",
)
