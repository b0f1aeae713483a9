"""In which order sectors are written, so that a power cut at any point leaves the old or the new table.

H1/E1 are the primary header and entries, H2/E2 those of the backup. Every epoch ends with a flush:

1. *Repair*: what is damaged or differs is first written with the OLD content, E2+H2, then H1, then E1. Of each pair at
   least one valid piece is not touched here, so the old table can be read throughout.
2. *Change*: E2+H2, then H1, then E1, with the NEW content. While the backup is written, the primary is the old table;
   while the primary is written, the backup is the new one.
   Between the two, the headers that an old table for another sector size left behind are wiped: from here on the new
   backup is the only one that a prober finds.
3. The protective MBR, where it has to be made or moved (creation, relocation): without it no reader looks at a new table.

With the primary header written before its entries every known reader still boots from every state in between: GRUB
refuses a disk whose entries run ahead of their primary header. Only sectors that change are written.
"""

from __future__ import annotations

from gptlib._record import Record
from gptlib.header import encode_header
from gptlib.judge import BACKUP, PRIMARY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from gptlib.table import Table

    ReadSectors = Callable[[int, int], bytes]
    """(first LBA, number of sectors) -> bytes; empty where the disk cannot be read."""


Region = tuple[int, bytes]
"""(LBA, wanted bytes); the last sector may be given in part."""


class Write(Record):
    """Sectors to be written: ``data`` fills whole sectors from ``lba`` on."""

    lba: int
    data: bytes


Epoch = tuple[Write, ...]
"""Writes in no particular order, to be followed by one flush."""


class _View:
    """The disk as it will be after the epochs planned so far."""

    def __init__(self, read: ReadSectors, sector_size: int) -> None:
        self._read, self._size = read, sector_size
        self._planned: dict[int, bytes] = {}

    def _current(self, lba: int, count: int) -> bytes | None:
        """``count`` sectors, or None where the disk cannot be read."""
        data, size = self._read(lba, count), self._size
        if len(data) < count * size:
            return None
        for number, sector in self._planned.items():
            if lba <= number < lba + count:
                at = (number - lba) * size
                data = data[:at] + sector + data[at + size :]
        return data

    def changes(self, lba: int, data: bytes) -> list[Write]:
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
        runs: list[tuple[int, int]] = []
        for at in _differing(data, current, size):
            if runs and runs[-1][1] == at:
                runs[-1] = (runs[-1][0], at + size)
            else:
                runs.append((at, at + size))
        return [Write(lba + start // size, data[start:end]) for start, end in runs]

    def apply(self, epoch: Epoch) -> None:
        size = self._size
        for write in epoch:
            for number in range(len(write.data) // size):
                self._planned[write.lba + number] = write.data[number * size : (number + 1) * size]


def _differing(one: bytes, other: bytes, size: int) -> Iterator[int]:
    """Where the sectors start that differ. Eight at a time are compared first: most of an array is as it was."""
    for block in range(0, len(one), 8 * size):
        end = min(block + 8 * size, len(one))
        if not one.startswith(other[block:end], block):
            for at in range(block, end, size):
                if not one.startswith(other[at : at + size], at):
                    yield at


def plan_write(
    read: ReadSectors,
    old: Table | None,
    new: Table,
    *,
    ignored: Collection[str] = (),
    mbr: bytes | None = None,
    remnants: Collection[Region] = (),
) -> list[Epoch]:
    """The epochs that turn the disk into ``new``; empty when it is that already.

    ``old`` is the table that can be read from the disk now, or None when there is none worth keeping. Copies named in
    ``ignored`` (``primary``, ``backup``) are not written. ``mbr`` is the wanted first block, or None to leave it;
    ``remnants`` are sectors to be written between the new backup and the new primary (see ``gptlib.remnants``).
    """
    view = _View(read, new.sector_size)
    epochs: list[Epoch] = []
    for table in (new,) if old is None or old == new else (old, new):
        for regions in _regions(table, ignored):
            _plan(epochs, view, regions)
            if remnants and table is new:
                _plan(epochs, view, list(remnants))
                remnants = ()
    if mbr is not None:
        _plan(epochs, view, [(0, mbr)])
    return epochs


def _plan(epochs: list[Epoch], view: _View, regions: list[Region]) -> None:
    epoch = tuple(write for lba, data in regions for write in view.changes(lba, data))
    if epoch:
        epochs.append(epoch)
        view.apply(epoch)


def _regions(table: Table, ignored: Collection[str]) -> list[list[Region]]:
    epochs: list[list[Region]] = []
    if BACKUP not in ignored:
        header = encode_header(table, primary=False)
        epochs.append([(table.backup_entries_lba, table.entries), (table.backup_lba, header)])
    if PRIMARY not in ignored:
        epochs.append([(1, encode_header(table, primary=True))])
        epochs.append([(table.primary_entries_lba, table.entries)])
    return epochs
