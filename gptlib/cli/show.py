"""``gptctl show``: the output of ``cgpt show`` (vboot and seismograph), byte for byte where both are defined."""

from __future__ import annotations

from gptlib.cli.common import JSON, entry_number, out, report, shown, target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.layout.compiled import BootCodeBytes, HeaderBytes
from gptlib.read.checks import table_findings
from gptlib.read.findings import NOTE
from gptlib.read.state import COMBINED
from gptlib.table.attributes import EFI_IGNORE, LEGACY_BOOT, REQUIRED, SLOT_BITS
from gptlib.table.crc import crc32
from gptlib.table.guid import ZERO, Guid
from gptlib.table.header import decode_header, header_crc
from gptlib.table.partition import EntryArray
from gptlib.table.table import array_sectors
from gptlib.table.types import CHROMEOS_KERNEL, COREOS_USR, is_slot_type, type_description, type_guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gptlib.cli.options import Parsed
    from gptlib.read.state import State
    from gptlib.read.validation import Copy
    from gptlib.table.partition import Partition
    from gptlib.table.table import Table

_MORE = " " * 34
_TITLE = f"{'start':>12}{'size':>12}{'part':>8}  contents\n"

FIELDS: dict[str, Callable[[Partition], object]] = {
    "b": lambda entry: _signed(entry.first_lba),
    "s": lambda entry: _signed(entry.last_lba - entry.first_lba + 1) if entry.first_lba or entry.last_lba else 0,
    "t": lambda entry: entry.type_guid,
    "u": lambda entry: entry.unique_guid,
    "l": lambda entry: shown(entry.label),
    "S": lambda entry: int(entry.attributes.successful),
    "T": lambda entry: entry.attributes.tries,
    "P": lambda entry: entry.attributes.priority,
    "R": lambda entry: int(entry.attributes.required),
    "B": lambda entry: int(entry.attributes.legacy_boot),
    "A": lambda entry: f"{bits:#x}" if (bits := entry.attributes.type_specific) else "0",
}
"""The single fields that ``-i N`` can show, by the letter of their option."""


def _signed(number: int) -> int:
    """As C prints a uint64_t with %lld."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _line(start: int, size: int, part: object, contents: str) -> str:
    return f"{_signed(start):12}{_signed(size):12}{part!s:>8}  {contents}\n"


def entry_details(entry: Partition, index: int, *, numeric: bool, text: Callable[[str], str] = shown) -> str:
    """The lines of one entry; ``text`` says how its label is shown."""
    lines = [_line(entry.first_lba, entry.last_lba - entry.first_lba + 1, index, f'Label: "{text(entry.label)}"')]
    lines.append(f"{_MORE}Type: {entry.type_guid if numeric else type_description(entry.type_guid)}\n")
    lines.append(f"{_MORE}UUID: {entry.unique_guid}\n")
    attributes = f"[{entry.attributes.type_specific:x}]" if numeric else _attributes(entry)
    if attributes:
        lines.append(f"{_MORE}Attr: {attributes}\n")
    return "".join(lines)


def _attributes(entry: Partition) -> str:
    bits, kind = entry.attributes, entry.type_guid
    words = []
    if kind in {type_guid(CHROMEOS_KERNEL), type_guid(COREOS_USR)} or (is_slot_type(kind) and bits & SLOT_BITS):
        words.append(str(bits))
    words += [
        f"{name}=1"
        for name, mask in (("required", REQUIRED), ("efi_ignore", EFI_IGNORE), ("legacy_boot", LEGACY_BOOT))
        if bits & mask
    ]
    # vboot's cgpt ends each word with a space. seismograph's, the only one to know CoreOS's type, does not.
    return "".join(f"{word} " for word in words) if kind != type_guid(COREOS_USR) else " ".join(words)


def _header_details(copy: Copy, *, numeric: bool) -> str:
    sector = copy.sector
    header, mark = decode_header(sector), sector[HeaderBytes.signature]
    signature = f"[{mark.hex('-').upper()}]" if numeric else f"[{shown(mark.decode('latin-1'))}]"
    size_ok = 0 < header.header_size <= len(sector) and header_crc(sector, header.header_size) == header.header_crc32
    entries_ok = copy.entries != b"" and crc32(copy.entries) == header.partition_entry_array_crc32
    fields = (
        f"Sig: {signature}",
        f"Rev: {header.revision:#010x}",
        f"Size: {header.header_size} (blocks)",
        f"Header CRC: {header.header_crc32:#010x} {'' if size_ok else '(INVALID)'}",
        f"My LBA: {_signed(header.my_lba)}",
        f"Alternate LBA: {_signed(header.alternate_lba)}",
        f"First LBA: {_signed(header.first_usable_lba)}",
        f"Last LBA: {_signed(header.last_usable_lba)}",
        f"Disk UUID: {Guid(header.disk_guid)}",
        f"Entries LBA: {_signed(header.partition_entry_lba)}",
        f"Number of entries: {header.number_of_partition_entries}",
        f"Size of entry: {header.size_of_partition_entry}",
        f"Entries CRC: {header.partition_entry_array_crc32:#010x} {'' if entries_ok else 'INVALID'}",
    )
    return "".join(f"{_MORE}{field}\n" for field in fields)


def _entries(array: EntryArray, *, numeric: bool) -> str:
    return "".join(entry_details(entry, index, numeric=numeric) for index, entry in array.partitions.items())


def _mbr_line(state: State) -> str:
    guid = state.mbr[BootCodeBytes.boot_guid]
    return _line(0, 1, "", "PMBR" if guid in {ZERO, b""} else f"PMBR (Boot GUID: {Guid(guid)})")


def _drive_details(state: State) -> str:
    return (
        f"Drive details:\n    Total Size (bytes): {state.total_sectors * state.sector_size}\n"
        f"    LBA Size (bytes): {state.sector_size}\n    Drive Size (blocks): {state.total_sectors}\n\n"
    )


class _Listing:
    """The whole table, primary first; the backup shows its entries only where they tell something new."""

    def __init__(self, state: State, parsed: Parsed) -> None:
        self.state, self.table = state, state.table
        self.numeric, self.debug = parsed.has("n"), parsed.has("d")
        self.verbose = parsed.has("v") or self.debug

    def text(self) -> str:
        return "".join(
            (_drive_details(self.state) if self.verbose else "", _TITLE, _mbr_line(self.state), *self._copies())
        )

    def _copies(self) -> Iterator[str]:
        primary, backup = self.state.primary, self.state.backup
        if primary.ignored:
            yield _line(1, 1, "IGNORED", "Pri GPT header")
        else:
            yield _line(1, 1, "" if primary.header_ok else "INVALID", "Pri GPT header")
            if primary.sector and (self.debug or (primary.header_ok and self.verbose)):
                yield _header_details(primary, numeric=self.numeric)
            yield self._table_line(primary, "Pri GPT table")
            if primary.entries_ok or self.state.source == COMBINED:
                yield _entries(self.table.entries, numeric=self.numeric)
            elif self.debug and primary.entries:
                yield self._array(primary)
        if backup.ignored:
            yield _line(self.state.total_sectors - 1, 1, "IGNORED", "Sec GPT header")
            return
        yield self._table_line(backup, "Sec GPT table")
        if self._shows_backup_entries():
            yield self._array(backup)
        # cgpt shows an invalid backup header in block 1: a mistake that scripts may have got used to.
        place = backup.lba if backup.header_ok else 1
        yield _line(place, 1, "" if backup.header_ok else "INVALID", "Sec GPT header")
        if backup.sector and self._shows_backup_header():
            yield _header_details(backup, numeric=self.numeric)

    def _table_line(self, copy: Copy, name: str) -> str:
        start = sectors = 0
        if copy.sector:
            header = decode_header(copy.sector)
            start = header.partition_entry_lba
            sectors = array_sectors(header.array_bytes % (1 << 32), self.state.sector_size)
        return _line(start, sectors, "" if copy.entries_ok else "INVALID", name)

    def _array(self, copy: Copy) -> str:
        """What stands in the array of one copy, whether or not it has the CRC that its header names."""
        return _entries(
            EntryArray(copy.entries, decode_header(copy.sector).size_of_partition_entry), numeric=self.numeric
        )

    def _shows_backup_entries(self) -> bool:
        primary, backup = self.state.primary, self.state.backup
        if not backup.entries:
            return False
        if not backup.entries_ok:
            return self.debug
        return self.debug or primary.ignored or not primary.entries_ok or primary.entries != backup.entries

    def _shows_backup_header(self) -> bool:
        primary, backup = self.state.primary, self.state.backup
        if self.debug or primary.ignored:
            return True
        return self.verbose and backup.header_ok and (not primary.header_ok or not _synonymous(primary, backup))


def _synonymous(one: Copy, other: Copy) -> bool:
    names = (
        "first_usable_lba",
        "last_usable_lba",
        "number_of_partition_entries",
        "size_of_partition_entry",
        "disk_guid",
    )
    return all(getattr(one.header, name) == getattr(other.header, name) for name in names)


def _quick(table: Table, *, numeric: bool) -> str:
    return "".join(
        _line(
            entry.first_lba,
            entry.last_lba - entry.first_lba + 1,
            index,
            str(entry.type_guid) if numeric else type_description(entry.type_guid),
        )
        for index, entry in table.partitions.items()
    )


def _field(parsed: Parsed) -> str | None:
    given = [letter for letter in FIELDS if parsed.has(letter)]
    if len(given) > 1:
        raise UsageError(f"only a single item may be displayed at a time, not -{' -'.join(given)}")
    return given[0] if given else None


def _render(state: State, number: int | None, parsed: Parsed) -> str:
    field, numeric = _field(parsed), parsed.has("n")
    if number is None:
        if field is not None:
            raise UsageError("-i required when displaying a single item")
        return _quick(state.table, numeric=numeric) if parsed.has("q") else _Listing(state, parsed).text()
    entry = state.table.entries.entry(entry_number(state.table, number))
    if field is not None:
        return f"{FIELDS[field](entry)}\n"
    return _TITLE + entry_details(entry, number, numeric=numeric)


def _run(parsed: Parsed) -> int:
    if parsed.text("i") is not None and parsed.number("i") == 0:
        raise UsageError("-i requires a number from 1 on")
    target = target_of(parsed)
    with Disk.open(target.path) as disk:
        state = disk.read()
    if parsed.has("json"):
        from gptlib.cli.report import show_json

        out(show_json(target.path, state, target.partition))
    else:
        out(_render(state, target.partition, parsed))
    told = [f for f in state.findings if f.severity != NOTE and f.where in {"primary", "backup", "disk"}]
    report(target.path, [*told, *table_findings(state.table)])
    return 0


COMMAND = Command(
    "show",
    "DRIVE",
    "Display the GPT. Units are blocks.",
    (
        Option("n", "", "Numeric output only"),
        Option("v", "", "Verbose output"),
        Option("q", "", "Quick output"),
        Option("i", "NUM", "Show specified partition only (also: give the node of a partition as DRIVE)"),
        Option("d", "", "Debug output (including invalid headers)"),
        JSON,
        Option("b", "", "with -i: first block (a.k.a. start of partition)"),
        Option("s", "", "with -i: partition size (in blocks)"),
        Option("t", "", "with -i: type GUID"),
        Option("u", "", "with -i: unique GUID"),
        Option("l", "", "with -i: label"),
        Option("S", "", "with -i: Successful flag"),
        Option("T", "", "with -i: Tries flag"),
        Option("P", "", "with -i: Priority flag"),
        Option("R", "", "with -i: Required flag"),
        Option("B", "", "with -i: Legacy Boot flag"),
        Option("A", "", "with -i: raw 16-bit attribute value (bits 48-63)"),
    ),
    _run,
)
