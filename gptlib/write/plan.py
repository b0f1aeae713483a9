"""In which order sectors are written, so that a power cut at any point leaves the old or the new table.

H1/E1 are the primary header and entries, H2/E2 those of the backup. Every epoch ends with a flush:

1. *Repair*: what is damaged or differs is first written with the OLD content, E2+H2, then H1, then E1. Of each pair at
   least one valid piece is not touched here, so the old table can be read throughout.
2. *Change*: E2+H2, then H1, then E1, with the NEW content. While the backup is written, the primary is the old table;
   while the primary is written, the backup is the new one. E2 and H2 are two epochs where the array changes its shape.
   Between the two, the headers that an old table for another sector size left behind are wiped: from here on the new
   backup is the only one that a prober finds.
3. The protective MBR, where it has to be made or resized (creation, relocation): without it no reader looks at a new table.

A table that lacks its protective MBR gets it at the end of the repair, before any change. Where there is none, the kernel,
sfdisk and blkid see no table at all, and sgdisk reads one as long as both copies are whole: with a copy that does not have
its CRC it offers a new, empty table. No order of writes spares it that, for a header and its entries are different sectors,
of which one is written first. With the MBR it reads from every state, and the others see the old table, then the new one.
A boot sector (it ends in 0x55AA) is not written over unasked, be it one without partitions.

With the primary header written before its entries every known reader still boots from every state in between: GRUB
refuses a disk whose entries run ahead of their primary header when the backup is new already. Only sectors that change
are written. A table from which the slot that boots is removed is written entries first, the backup last: ``gptlib.write.order``.
"""

from __future__ import annotations

from gptlib._record import Record
from gptlib.layout.compiled import EntryBytes
from gptlib.table.header import encode_header
from gptlib.table.structures import BACKUP, PRIMARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from gptlib.table.partition import EntryArray
    from gptlib.table.table import Table
    from gptlib.write.order import Order

    ReadSectors = Callable[[int, int], bytes]
    """(first LBA, number of sectors) -> bytes; empty where the disk cannot be read."""


_UNIQUE_GUID = EntryBytes.unique_partition_guid
Region = tuple[int, bytes]
"""(LBA, wanted bytes); the last sector may be given in part."""


class Write(Record):
    """Sectors to be written: ``data`` fills whole sectors from ``lba`` on."""

    lba: int
    data: bytes

    def __repr__(self) -> str:
        return f"Write(lba={self.lba}, {len(self.data)} bytes)"


Epoch = tuple[Write, ...]
"""Writes in no particular order, to be followed by one flush."""


class _Plan:
    """The epochs planned so far, and the disk as it will be after them."""

    def __init__(self, read: ReadSectors, sector_size: int) -> None:
        self.epochs: list[Epoch] = []
        self._read, self._size = read, sector_size
        self._planned: list[Write] = []

    def add(self, regions: Iterable[Region]) -> None:
        """Plan the epoch after which ``regions`` hold what they are to hold; none when they do."""
        epoch: list[Write] = []
        for lba, data in regions:
            epoch += self._changes(lba, data)
        if epoch:
            self.epochs.append(tuple(epoch))
            self._planned += epoch

    def _changes(self, lba: int, data: bytes) -> list[Write]:
        """The runs of sectors in which the disk differs from ``data``; a last partial sector keeps its tail."""
        size = self._size
        count = -(-len(data) // size)
        current = self._current(lba, count)
        if current is None:
            # Sectors that cannot be read are written as a whole; many a disk then reads them again.
            return [Write(lba, data.ljust(count * size, b"\0"))]
        if current.startswith(data):
            return []
        if len(data) < len(current):
            data += current[len(data) :]
        if count == 1:
            return [Write(lba, data)]
        return _runs(lba, data, _differing(data, current, size), size)

    def _current(self, lba: int, count: int) -> bytes | None:
        """``count`` sectors, or None where the disk cannot be read."""
        data, size = self._read(lba, count), self._size
        if len(data) < count * size:
            return None
        changed = None
        for first, planned in self._planned:
            at = (first - lba) * size
            if -len(planned) < at < len(data):
                changed = changed or bytearray(data)
                start = max(at, 0)
                part = planned[start - at : len(data) - at]
                changed[start : start + len(part)] = part
        return data if changed is None else bytes(changed)


def _differing(one: bytes, other: bytes, size: int) -> list[int]:
    """Where the sectors start in which two arrays of the same length differ."""
    return [at for at in range(0, len(one), size) if not one.startswith(other[at : at + size], at)]


def _runs(lba: int, data: bytes, starts: list[int], size: int) -> list[Write]:
    """Sectors of ``data``, which stands at ``lba``, that follow each other are one write."""
    writes: list[Write] = []
    first = end = starts[0]
    for start in starts:
        if start != end:
            writes.append(Write(lba + first // size, data[first:end]))
            first = start
        end = start + size
    writes.append(Write(lba + first // size, data[first:end]))
    return writes


def plan_write(
    read: ReadSectors,
    old: Table | None,
    new: Table,
    *,
    sound: bool = False,
    ignored: Collection[str] = (),
    mbr: bytes | None = None,
    mbr_first: bool = False,
    stale_headers: Collection[Region] = (),
    apart: bool = False,
) -> list[Epoch]:
    """The epochs that turn the disk into ``new``; empty when it is that already.

    ``old`` is the table that can be read from the disk now, or None when there is none worth keeping; ``sound`` says that
    both of its copies are as they are to be. Copies named in ``ignored`` (``primary``, ``backup``) are not written. ``mbr``
    is the wanted first block, or None to leave it; it is the last to be written, or with ``mbr_first``, for a disk that has
    none, the last of the repair. ``stale_headers`` are sectors to be written before it, before the primary of the same table (see
    ``gptlib.write.stale_headers``). ``apart`` has E2 flushed before H2: sgdisk shows what stands behind an old array of another size when
    it finds H2 before all of E2.
    """
    plan = _Plan(read, new.sector_size)
    order = None if old is None or ignored else _order(old, new)
    tables = [] if old is None or sound or old == new else [old]
    if order is not None and order.via is not None:
        tables.append(order.via)
    tables.append(new)
    found = tables[0] if mbr_first else new
    for table in tables:
        steps = copy_regions(table, ignored, apart=apart and table is new)
        entries_first = order is not None and order.entries_first and table is new
        if order is not None and table is not old:
            steps = order.arrange(steps, table, entries_first=entries_first)
        if table is found:
            steps.insert(0 if entries_first else 1, list(stale_headers))
            steps.append([] if mbr is None else [(0, mbr)])
        for regions in steps:
            plan.add(regions)
    return plan.epochs


def _order(old: Table, new: Table) -> Order | None:
    """How to write ``new`` over ``old``; None for the usual way, as of every change of attributes in one sector."""
    changed: list[int] = []
    if old.array_shape == new.array_shape:
        one, other, size = old.entries, new.entries, new.sector_size
        changed = _differing(one, other, size)
        if len(changed) < 2 and all(_same_guids(one, other, at, size) for at in changed):
            return None
    from gptlib.write.order import order_of

    return order_of(old, new, changed)


def _same_guids(one: EntryArray, other: EntryArray, at: int, size: int) -> bool:
    """Whether the entries in the sector that starts at ``at`` have the unique GUIDs of those of ``other``."""
    first, last = at // one.entry_size + 1, min(-(-(at + size) // one.entry_size), one.capacity)
    return all(
        one.raw_entry(number)[_UNIQUE_GUID] == other.raw_entry(number)[_UNIQUE_GUID]
        for number in range(first, last + 1)
    )


def plan_regions(read: ReadSectors, sector_size: int, steps: Iterable[Iterable[Region]]) -> list[Epoch]:
    """The epochs after which the regions of each step, one step after the other, hold what they are to hold."""
    plan = _Plan(read, sector_size)
    for regions in steps:
        plan.add(regions)
    return plan.epochs


def copy_regions(table: Table, ignored: Collection[str] = (), *, apart: bool = False) -> list[list[Region]]:
    """The steps in which both copies of a table are written, less those that are ``ignored``."""
    epochs: list[list[Region]] = []
    if BACKUP not in ignored:
        entries, header = (
            (table.backup_entries_lba, table.entries),
            (table.backup_lba, encode_header(table, primary=False)),
        )
        epochs += [[entries], [header]] if apart else [[entries, header]]
    if PRIMARY not in ignored:
        epochs.append([(1, encode_header(table, primary=True))])
        epochs.append([(table.primary_entries_lba, table.entries)])
    return epochs
