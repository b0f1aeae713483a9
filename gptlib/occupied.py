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

from gptlib.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, encode_header
from gptlib.layout.compiled import ENTRY_FORMAT
from gptlib.structures import PRIMARY
from gptlib.table import HEADER_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.judge import Copy
    from gptlib.table import Table
    from gptlib.window import Window

_ENTRY = Struct(ENTRY_FORMAT)
_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE, *IGNORED_SIGNATURES)


def foreign_sector(window: Window, table: Table, copy: Copy) -> int | None:
    """The first sector in the place of a damaged copy that holds something else; None where all may be written.

    ``table`` is what the other copy, or both together, say.
    """
    size, entries = table.sector_size, table.entries
    primary = copy.where == PRIMARY
    lba = table.primary_entries_lba if primary else table.backup_entries_lba
    certain = copy.header_ok or _leaves_no_other_room(table, primary=primary)
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
