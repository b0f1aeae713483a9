"""``gptctl add``: makes, changes or (type ``unused``) removes a partition."""

from __future__ import annotations

from gptlib.cli.common import change, complain, entry_number, target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.table.attributes import LEGACY_BOOT, MAX_PRIORITY, MAX_TRIES, MAX_TYPE_SPECIFIC, REQUIRED, Attributes
from gptlib.table.guid import Guid
from gptlib.table.partition import NAME_BYTES, Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed
    from gptlib.table.table import Table


def _label(parsed: Parsed) -> str | None:
    """The label, cut off where it is too long, as cgpt does (but not without a word)."""
    label = parsed.label("l")
    if label is None:
        return None
    data = label.encode("utf-16-le")
    if len(data) <= NAME_BYTES:
        return label
    label = data[:NAME_BYTES].decode("utf-16-le", "ignore")
    complain(f"WARNING: the label is too long; it is cut off to {label!r}")
    return label


class _Wanted:
    """What the command line asks for; None where it says nothing."""

    def __init__(self, parsed: Parsed) -> None:
        self.first, self.sectors = parsed.number("b"), parsed.number("s")
        self.type_guid, self.guid = parsed.type_guid("t"), parsed.guid("u")
        self.label = _label(parsed)
        self.priority, self.tries = parsed.number("P", 0, MAX_PRIORITY), parsed.number("T", 0, MAX_TRIES)
        self.successful = parsed.number("S", 0, 1)
        self.bits = {REQUIRED: parsed.number("R", 0, 1), LEGACY_BOOT: parsed.number("B", 0, 1)}
        self.raw = parsed.number("A")

    def attributes(self, old: Attributes) -> Attributes:
        """The attribute bits: a raw value replaces bits 48-63 (vboot's cgpt), or all 64 if it is longer (seismograph's)."""
        if self.raw is not None:
            return Attributes(self.raw) if self.raw > MAX_TYPE_SPECIFIC else old.with_type_specific(self.raw)
        successful = None if self.successful is None else bool(self.successful)
        new = old.with_slot(priority=self.priority, tries=self.tries, successful=successful)
        for mask, value in self.bits.items():
            if value is not None:
                new = new.with_bits(mask, on=bool(value))
        return new

    def partition(self, old: Partition) -> Partition:
        """The changed partition."""
        new = old._replace(attributes=self.attributes(old.attributes))
        if self.first is not None or self.sectors is not None:
            first = old.first_lba if self.first is None else self.first
            new = new._replace(
                first_lba=first, last_lba=old.last_lba if self.sectors is None else first + self.sectors - 1
            )
        if self.type_guid is not None:
            new = new._replace(type_guid=self.type_guid)
        if self.guid is not None:
            new = new._replace(unique_guid=self.guid)
        return new if self.label is None else new._replace(name=self.label)

    def new_partition(self) -> Partition:
        """A new partition. Raises UsageError when something is missing."""
        if self.first is None or self.sectors is None or self.type_guid is None:
            raise UsageError("-t, -b, and -s options are required for new partitions")
        if self.type_guid.is_zero:
            raise UsageError('new partitions must have a type other than "unused"')
        return self.partition(Partition(self.type_guid, Guid.random(), 0, 0))


def _changed(table: Table, number: int | None, wanted: _Wanted) -> Table:
    if number is None or entry_number(table, number) not in table.partitions:
        return table.add(wanted.new_partition(), number)
    if wanted.type_guid is not None and wanted.type_guid.is_zero:
        return table.remove(number)
    old = table.partitions[number]
    new = wanted.partition(old)
    if new == old._replace(attributes=new.attributes):
        return table.with_attributes(number, new.attributes)
    return table.change(number, new)


def _run(parsed: Parsed) -> int:
    wanted = _Wanted(parsed)
    target = target_of(parsed)
    with Disk.open(target.path, write=True) as disk:
        change(disk, _changed(disk.table(), target.partition, wanted))
    return 0


COMMAND = Command(
    "add",
    "DRIVE",
    "Add, edit, or remove a partition entry.",
    (
        Option("i", "NUM", "Specify partition (default is next available, or the one\nwhose node is given as DRIVE)"),
        Option("b", "NUM", "First block (a.k.a. start of partition)"),
        Option("s", "NUM", "Size (in blocks)"),
        Option("t", "GUID", "Partition Type GUID or name"),
        Option("u", "GUID", "Partition Unique ID"),
        Option("l", "LABEL", "Label"),
        Option("S", "NUM", "set Successful flag (0|1)"),
        Option("T", "NUM", "set Tries flag (0-15)"),
        Option("P", "NUM", "set Priority flag (0-15)"),
        Option("R", "NUM", "set Required flag (0|1)"),
        Option("B", "NUM", "set Legacy Boot flag (0|1)"),
        Option("A", "NUM", "set raw 16-bit attribute value (bits 48-63); a larger\nnumber sets all 64 bits"),
    ),
    _run,
    "Use the -i option to modify an existing partition; -t unused removes it.\n"
    "The -b, -s, and -t options must be given for new partitions.",
    types=True,
)
