"""What of a disk belongs to its table and not to a partition: headers and entry arrays, with their sectors."""

from __future__ import annotations

from gptlib._record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from gptlib.table.table import Table

PRIMARY, BACKUP = "primary", "backup"
"""The two copies of a table."""


class Structure(Record):
    """A header or an entry array, with its first and last sector."""

    name: str
    first: int
    last: int

    def __str__(self) -> str:
        """Name and sectors, as in messages."""
        if self.first == self.last:
            return f"{self.name} (sector {self.first})"
        return f"{self.name} (sectors {self.first} to {self.last})"


MBR = Structure("MBR", 0, 0)


def structures(table: Table, left_alone: Collection[str] = ()) -> list[Structure]:
    """The headers and arrays of the copies (``primary``, ``backup``) that are not ``left_alone``."""
    length, found = table.entries_sectors, []
    for where, header, entries in (
        (PRIMARY, 1, table.primary_entries_lba),
        (BACKUP, table.backup_lba, table.backup_entries_lba),
    ):
        if where not in left_alone:
            found.append(Structure(f"{where} header", header, header))
            found.append(Structure(f"{where} entries", entries, entries + length - 1))
    return found
