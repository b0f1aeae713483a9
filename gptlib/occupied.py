"""What stands in the place of a damaged copy: the rest of that copy, nothing, or something that is not ours.

Boards keep their boot loader in the unused part of the primary array, or right behind a short one, and a table whose primary
was lost does not say where it stood. So the place of a damaged copy is written only where each sector of it is zero or
recognisably part of a table.

Which of its sectors have to pass depends on how sure the place is. Where the header of the copy is valid, or the other
header leaves no other room (first usable sector = 2 + sectors of the array; for the backup, as many before its header),
it is certain, and only sectors that hold no entry are looked at. Everywhere else it is a guess, and all of them are.
"""

from __future__ import annotations

from struct import Struct

from gptlib.errors import TableError
from gptlib.findings import WARNING, Finding
from gptlib.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, encode_header
from gptlib.layout.compiled import ENTRY_FORMAT
from gptlib.placement import in_partition
from gptlib.reading import end_signature
from gptlib.structures import BACKUP, PRIMARY, structures
from gptlib.table import HEADER_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gptlib.judge import Copy
    from gptlib.reading import State
    from gptlib.table import Table
    from gptlib.window import Window

_ENTRY = Struct(ENTRY_FORMAT)
_OTHER = {PRIMARY: BACKUP, BACKUP: PRIMARY}
_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE, *IGNORED_SIGNATURES)


def occupied_places(window: Window, state: State, *, ignored: bool = False) -> Iterator[Finding]:
    """What is in the way of each damaged copy: ``occupied`` by something else, or ``in-partition``.

    Copies marked IGNOREME are not looked at unless asked for.
    """
    if state.table is None:
        return
    table = _reaching(state.table, state.total_sectors)
    for copy in (state.primary, state.backup):
        if copy.valid or (copy.ignored and not ignored):
            continue
        taken = [index for one in structures(table, (_OTHER[copy.where],)) if (index := in_partition(table, *one[1:]))]
        if taken:
            message = f"its place reaches into partition {taken[0]}; no change can be written as long as it does"
            yield Finding("in-partition", WARNING, copy.where, message)
        # Where a disk was cut off, the backup has lost the place that it had.
        certain = copy.where == PRIMARY or table is state.table
        found = _occupant(window, table, copy, certain=certain)
        if found:
            message = f"{found}; this copy is left alone ('gptctl repair --force' writes over it)"
            yield Finding("occupied", WARNING, copy.where, message)


def _occupant(window: Window, table: Table, copy: Copy, *, certain: bool) -> str:
    if copy.where == BACKUP and not copy.header_ok and copy.lba == table.total_sectors - 1:
        signature = end_signature(window)
        if signature:
            return f"the disk ends with {signature}"
    sector = foreign_sector(window, table, copy, certain=certain)
    return "" if sector is None else f"sector {sector} holds something that is no part of a table"


def _reaching(table: Table, total: int) -> Table:
    """The table as it would be written where its end is gone."""
    try:
        return table if table.backup_lba < total else table.relocate(total)
    except TableError:
        return table


def foreign_sector(window: Window, table: Table, copy: Copy, *, certain: bool = True) -> int | None:
    """The first sector in the place of a damaged copy that holds something else; None where all may be written.

    ``table`` is what the other copy, or both together, say; not ``certain``, it is not even that.
    """
    size, entries = table.sector_size, table.entries
    primary = copy.where == PRIMARY
    lba = table.primary_entries_lba if primary else table.backup_entries_lba
    certain = certain and (copy.header_ok or _leaves_no_other_room(table, primary=primary))
    if not certain:
        wanted = encode_header(table, primary=primary)
        found = window.peek(copy.lba * size, size)
        if not (_is_zero(found) or found.startswith(_SIGNATURES) or _resembles(found, wanted[:HEADER_SIZE])):
            return copy.lba
    length = table.entries_sectors
    whole = window.peek(lba * size, length * size)
    for number in range(length):
        wanted = entries[number * size : (number + 1) * size].ljust(size, b"\0")
        found = whole[number * size : (number + 1) * size] if whole else window.peek((lba + number) * size, size)
        unused = _is_zero(wanted)
        if _is_zero(found) or found == wanted or (certain and (not unused or not found)):
            continue
        if not _holds_entries(found, table) and (unused or not _resembles(found, wanted)):
            return lba + number
    return None


def likely_place(window: Window, places: Sequence[int], table: Table) -> int:
    """Where the array of a lost copy stands: where its bytes are, else where its remains are, else the usual place."""
    size, entries = table.sector_size, table.entries
    for lba in places:
        if window.peek(lba * size, len(entries)) == entries:
            return lba
    for lba in places:
        first = window.peek(lba * size, size)
        if first and not _is_zero(first) and (_holds_entries(first, table) or _resembles(first, entries[:size])):
            return lba
    return places[0]


def _leaves_no_other_room(table: Table, *, primary: bool) -> bool:
    length = table.entries_sectors
    if primary:
        return table.first_usable_lba == 2 + length
    return table.last_usable_lba + 1 + length == table.backup_lba


def _is_zero(data: bytes) -> bool:
    return bool(data) and not any(data)


def _resembles(found: bytes, wanted: bytes) -> bool:
    """Whether at least half of the bytes that say something are there."""
    telling = [at for at, byte in enumerate(wanted) if byte]
    same = sum(found[at : at + 1] == wanted[at : at + 1] for at in telling)
    return bool(telling) and 2 * same >= len(telling)


def _holds_entries(sector: bytes, table: Table) -> bool:
    """Whether a sector is made of entries: each is unused, or a partition that fits on the disk."""
    size = min(table.entries.entry_size, len(sector))
    if size < _ENTRY.size:
        return False
    for at in range(0, len(sector) - size + 1, size):
        entry = sector[at : at + size]
        kind, unique, first, last, *_ = _ENTRY.unpack_from(entry)
        used = any(kind) and any(unique) and 0 < first <= last < table.total_sectors
        if any(entry) and not used:
            return False
    return True
