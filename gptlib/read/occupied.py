"""What stands in the place of a damaged copy: the rest of that copy, nothing, or something that is not ours.

Boards keep their boot loader in the unused part of the primary array, or right behind a short one, and a table whose primary
was lost does not say where it stood. So the place of a damaged copy is written only where each sector of it is zero or
recognisably part of a table.

Which of its sectors have to pass depends on how sure the place is. Where the header of the copy is valid, or the other
header leaves no other room (first usable sector = 2 + sectors of the array; for the backup, as many before its header),
it is certain, and only sectors that hold no entry are looked at. Everywhere else it is a guess, and all of them are.
"""

from __future__ import annotations

from gptlib.layout.compiled import HEADER_SIZE
from gptlib.read.findings import WARNING, Finding
from gptlib.read.state import end_signature
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, SIGNATURE, encode_header
from gptlib.table.partition import MIN_ENTRY_SIZE, decode_entry
from gptlib.table.structures import BACKUP, PRIMARY, structures
from gptlib.table.table import array_sectors
from gptlib.write.placement import in_partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gptlib.read.sectors import SectorCache
    from gptlib.read.state import Examination
    from gptlib.read.validation import Copy
    from gptlib.table.table import Table

_OTHER = {PRIMARY: BACKUP, BACKUP: PRIMARY}
_SIGNATURES = (SIGNATURE, LEGACY_SIGNATURE, *IGNORED_SIGNATURES)


def occupied_places(cache: SectorCache, found: Examination, *, ignored: bool = False) -> Iterator[Finding]:
    """What is in the way of each copy that is to be written anew: ``occupied`` by something else, or ``in-partition``.

    Copies marked IGNOREME are not looked at unless asked for.
    """
    if found.table is None:
        return
    table = _reaching(found.table, found.total_sectors)
    for copy in (found.primary, found.backup):
        places = structures(table, (_OTHER[copy.where],))
        is_on_disk = all(0 < one.first <= one.last < table.total_sectors for one in places)
        if not is_on_disk or (copy.ignored and not ignored):
            continue
        taken = [index for one in places if (index := in_partition(table, one.first, one.last))]
        if taken and not copy.valid:
            message = f"its place reaches into partition {taken[0]}; no change can be written as long as it does"
            yield Finding("in-partition", WARNING, copy.where, message)
        # Where a disk was cut off, the backup has lost the place that it had.
        certain = copy.where == PRIMARY or table is found.table
        occupant = _occupant(cache, table, copy, certain=certain)
        if occupant:
            message = f"{occupant}; this copy is left alone ('gptctl repair --force' writes over it)"
            yield Finding("occupied", WARNING, copy.where, message)


def _occupant(cache: SectorCache, table: Table, copy: Copy, *, certain: bool) -> str:
    if copy.where == BACKUP and not copy.header_ok and copy.lba == table.total_sectors - 1:
        signature = end_signature(cache)
        if signature:
            return f"the disk ends with {signature}"
    sector = foreign_sector(cache, table, copy, certain=certain)
    return "" if sector is None else f"sector {sector} holds something that is not part of a table"


def _reaching(table: Table, total: int) -> Table:
    """The table as it would be written where its end is gone, whether or not its partitions reach farther."""
    length = table.entries_sectors
    if table.backup_lba < total:
        return table
    return table._replace(
        total_sectors=total,
        last_usable_lba=total - length - 2,
        backup_entries_lba=total - length - 1,
        backup_lba=total - 1,
    )


def foreign_sector(cache: SectorCache, table: Table, copy: Copy, *, certain: bool = True) -> int | None:
    """The first sector in the place of a copy that holds something else; None where all may be written.

    ``table`` is what the other copy, or both together, say; not ``certain``, it is not even that.
    """
    size, entries = table.sector_size, table.entries
    primary = copy.where == PRIMARY
    lba = table.entries_lba(primary=primary)
    certain = certain and (copy.header_ok or _leaves_no_other_room(table, primary=primary))
    if not certain:
        wanted = encode_header(table, primary=primary)
        found = cache.peek(copy.lba * size, size)
        if not (_is_zero(found) or found.startswith(_SIGNATURES) or _resembles(found, wanted[:HEADER_SIZE])):
            return copy.lba
    length = table.entries_sectors
    # A header that is valid answers for the array that it names, which may be a smaller one.
    named = _named_sectors(copy, size) if copy.header_ok else length
    used = _used_sectors(table)
    whole = cache.peek(lba * size, length * size)
    for number in range(named if copy.valid else 0, length):
        wanted = entries[number * size : (number + 1) * size].ljust(size, b"\0")
        found = whole[number * size : (number + 1) * size] if whole else cache.peek((lba + number) * size, size)
        unused = number not in used
        if _is_zero(found) or found == wanted or (certain and number < named and (not unused or not found)):
            continue
        if not _holds_entries(found, table) and (unused or not _resembles(found, wanted)):
            return lba + number
    return None


def _used_sectors(table: Table) -> set[int]:
    """Which sectors of an array hold something of an entry that is in use."""
    size, entry_size = table.sector_size, table.entries.entry_size
    return {at for n in table.partitions for at in range((n - 1) * entry_size // size, -(-n * entry_size // size))}


def _named_sectors(copy: Copy, size: int) -> int:
    header = copy.header
    return 0 if header is None else array_sectors(header.array_bytes, size)


def likely_place(cache: SectorCache, places: Sequence[int], table: Table) -> int:
    """Where the array of a lost copy stands: where its bytes are, else its remains, else nothing, else the usual place."""
    size, entries = table.sector_size, table.entries
    places = [lba for lba in places if lba > 1] or places
    for lba in places:
        if cache.peek(lba * size, len(entries)) == entries:
            return lba
    for lba in places:
        first = cache.peek(lba * size, size)
        if first and not _is_zero(first) and (_holds_entries(first, table) or _resembles(first, entries[:size])):
            return lba
    return next((lba for lba in places if _is_zero(cache.peek(lba * size, len(entries)))), places[0])


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
    if size < MIN_ENTRY_SIZE:
        return False
    for at in range(0, len(sector) - size + 1, size):
        entry = sector[at : at + size]
        raw = decode_entry(entry)
        identified = any(raw.partition_type_guid) and any(raw.unique_partition_guid)
        used = identified and 0 < raw.starting_lba <= raw.ending_lba < table.total_sectors
        if any(entry) and not used:
            return False
    return True
