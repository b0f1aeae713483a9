"""``gptctl resize``: grows a partition into the free space behind it, that of a grown disk included."""

from __future__ import annotations

from gptlib.cli.common import change, target_of
from gptlib.cli.options import Command, Option, Parsed, UsageError
from gptlib.disk import Disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.table.table import Table

_LEAST = 2 << 20
_PLAIN = "#+-.:=@_"
_LINKS = {
    "LABEL": "by-label",
    "UUID": "by-uuid",
    "PARTLABEL": "by-partlabel",
    "PARTUUID": "by-partuuid",
}


def _grown(table: Table, number: int, total_sectors: int, least: int) -> Table | None:
    """The table with the partition grown as far as it goes, or None when that is less than ``least`` bytes."""
    if table.backup_lba != total_sectors - 1:
        table = table.relocate(total_sectors)
    partition = table.partition(number)
    behind = [other.first_lba for other in table.partitions.values() if other.first_lba > partition.last_lba]
    last = min([first - 1 for first in behind] + [table.last_usable_lba])
    gain = last - partition.last_lba
    if gain <= 0 or gain * table.sector_size < least:
        return None
    return table.change(number, partition._replace(last_lba=last))


def _node(parsed: Parsed) -> Parsed:
    """The command line with a tag such as PARTUUID=... replaced by the node that udev made for it."""
    tag, equals, value = parsed.argument("partition").partition("=")
    if not equals or tag not in _LINKS:
        return parsed
    name = value.lower() if tag == "PARTUUID" else _encoded(value)
    return parsed.with_arguments([f"/dev/disk/{_LINKS[tag]}/{name}"])


def _encoded(value: str) -> str:
    """A label as udev writes it in the name of a link (libblkid, blkid_encode_string)."""
    return "".join(
        letter if letter.isalnum() or letter in _PLAIN or not letter.isascii() else f"\\x{ord(letter):02x}"
        for letter in value
    )


def _run(parsed: Parsed) -> int:
    least = parsed.number("m")
    target = target_of(_node(parsed))
    if target.partition is None:
        raise UsageError("missing partition: give the node of one, or -i")
    with Disk.open(target.path, write=True) as disk:
        state = disk.read()
        table = _grown(state.table, target.partition, state.total_sectors, _LEAST if least is None else least)
        if table is not None:
            change(disk, table)
    return 0


COMMAND = Command(
    "resize",
    "PARTITION",
    "Resize the given partition if it has free space to grow into. The file system in it is not touched.",
    (
        Option("m", "NUM", "Do nothing unless partition can grow by NUM bytes\n(default: 2 MiB)"),
        Option("i", "NUM", "Specify partition; DRIVE is then the disk or image"),
    ),
    _run,
    "PARTITION is the node of a partition, or LABEL=, UUID=, PARTLABEL= or PARTUUID= and a value.",
)
