"""Which structures a disk has, or should have: MBR, headers, entries, each where it is looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gptlib.errors import ReadError
from gptlib.layout.compiled import HEADER_SIZE
from gptlib.raw.entry import entry_fields
from gptlib.raw.header import header_fields
from gptlib.raw.mbr import mbr_parts
from gptlib.raw.values import Geometry, Part
from gptlib.read.validation import validate_copy
from gptlib.table.guid import ZERO
from gptlib.table.partition import EntryArray
from gptlib.table.structures import BACKUP, PRIMARY
from gptlib.table.table import MAX_ARRAY_BYTES, array_sectors, valid_entry_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.read.sectors import SectorCache
    from gptlib.read.state import Examination
    from gptlib.read.validation import Copy


class _Array(NamedTuple):
    """An entry array as it is described somewhere; ``data`` is empty where it cannot be read, for the reason in ``problem``."""

    lba: int
    capacity: int
    entry_size: int
    usable: tuple[int, int]
    data: bytes = b""
    problem: str = ""


def parts_of(cache: SectorCache, found: Examination) -> Iterator[Part]:
    """Everything that is there, in the order of the disk, but the entries behind their header. Never raises for the contents."""
    disk = Geometry(found.sector_size, cache.size // found.sector_size)
    names: dict[bytes, str] = {}
    if found.table is not None:
        names = {bytes(p.unique_guid): f"partition {number}" for number, p in found.table.partitions.items()}
    yield from mbr_parts(found.mbr, disk, names, [one.message for one in found.findings if one.where == "mbr"])
    primary = validate_copy(cache, PRIMARY, 1, found.sector_size)
    array = _array_of(cache, primary, found)
    yield from _copy_parts("primary", "", primary, array, disk)
    shown = array
    for lba, name, place in _backups(primary, disk):
        copy = validate_copy(cache, BACKUP, lba, found.sector_size)
        array = _array_of(cache, copy, found)
        same = shown is not None and array is not None and bool(array.data) and array.data == shown.data
        yield from _copy_parts(name, place, copy, array, disk, same=same)


def _backups(primary: Copy, disk: Geometry) -> Iterator[tuple[int, str, str]]:
    """Sector, name and description of each place where the backup is looked for: where the primary names it, and at the end."""
    last = disk.sectors - 1
    named = primary.header.alternate_lba if primary.header is not None else last
    if named != last and 1 < named < last:
        yield named, "backup", ", where the primary says that it is"
        yield last, "backup at the end", ", at the end of the disk"
    elif last > 1:
        yield last, "backup", ""


def _array_of(cache: SectorCache, copy: Copy, found: Examination) -> _Array | None:
    """The array that the header of a copy names, be it damaged; without a header, the one that the table of the disk has there."""
    header, table = copy.header, found.table
    if header is not None:
        shape = (header.partition_entry_lba, header.number_of_partition_entries, header.size_of_partition_entry)
        array = _Array(*shape, (header.first_usable_lba, header.last_usable_lba))
    elif table is not None and copy.lba in {1, table.backup_lba}:
        lba = table.entries_lba(primary=copy.where == PRIMARY)
        usable = (table.first_usable_lba, table.last_usable_lba)
        array = _Array(lba, *table.array_shape, usable)
    else:
        return None
    if not valid_entry_size(array.entry_size) or not 1 <= array.capacity <= MAX_ARRAY_BYTES // array.entry_size:
        return array._replace(problem=f"{array.capacity} entries of {array.entry_size} bytes are not plausible")
    try:
        return array._replace(data=cache.get(array.lba * found.sector_size, array.capacity * array.entry_size))
    except ReadError as error:
        return array._replace(problem=f"they cannot be read ({error})")


def _copy_parts(
    name: str, place: str, copy: Copy, array: _Array | None, disk: Geometry, *, same: bool = False
) -> Iterator[Part]:
    yield _header_part(name, place, copy, array, disk)
    if array is None:
        return
    offset, length = array.lba * disk.sector_size, array.capacity * array.entry_size
    last = array.lba + max(array_sectors(length, disk.sector_size), 1) - 1
    summary = f"{copy.where} entries{place}: sectors {array.lba} to {last}, {array.capacity} entries of {array.entry_size} bytes"
    array_part = Part(f"{name} entries", array.lba, offset, length, summary)
    if array.problem:
        yield array_part._replace(problems=(array.problem,))
        return
    entries = EntryArray(array.data, array.entry_size)
    used = [number for number in range(1, array.capacity + 1) if entries.is_used(number)]
    summary += f", {len(used)} used"
    if copy.header is None:
        summary += "; the place is that of the table that is in use, as there is no header"
    if same:
        yield array_part._replace(summary=f"{summary}; the same bytes as those of the primary")
        return
    yield array_part._replace(summary=summary, problems=tuple(_unused_problems(entries)))
    for number in used:
        data, at = entries.raw_entry(number), offset + (number - 1) * array.entry_size
        title = f"{copy.where} entry {number}{place}"
        fields = entry_fields(data, at, disk, array.usable)
        yield Part(f"{name} entry {number}", at // disk.sector_size, at, array.entry_size, title, fields)


def _unused_problems(entries: EntryArray) -> Iterator[str]:
    for number in range(1, entries.capacity + 1):
        data = entries.raw_entry(number)
        if data.startswith(ZERO) and any(data):
            yield f"entry {number} is unused, but its bytes are not all zero"


def _header_part(name: str, place: str, copy: Copy, array: _Array | None, disk: Geometry) -> Part:
    sector, lba = copy.sector, copy.lba
    state = "valid" if copy.header_ok else "ignored" if copy.ignored else "INVALID"
    summary = f"{copy.where} header{place}: {state}"
    part = Part(f"{name} header", lba, lba * disk.sector_size, disk.sector_size, summary)
    problems = tuple(finding.message for finding in copy.findings)
    if len(sector) < HEADER_SIZE:
        return part._replace(problems=problems)
    if not any(sector):
        return part._replace(problems=(*problems, "all of its bytes are zero"))
    entries = array.data if array is not None and copy.header is not None else b""
    return part._replace(fields=header_fields(sector, lba, disk, entries), problems=problems)
