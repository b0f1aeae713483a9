"""The partition table as a value: every change gives a new table, nothing touches a disk (see ``gptlib.disk``)."""

from __future__ import annotations

from gptlib._record import CheckedRecord
from gptlib._values import MAX_LBA, check_kind, check_number
from gptlib.errors import InvalidValueError, TableError
from gptlib.layout.compiled import HEADER_SIZE
from gptlib.table.guid import Guid
from gptlib.table.partition import MIN_ENTRY_SIZE, EntryArray, Partition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gptlib.table.attributes import Attributes

SECTOR_SIZES = (512, 4096)
REVISION = 0x00010000
MAX_ARRAY_BYTES = 16 << 20
"""Larger entry arrays are refused: no tool makes them, and a damaged header must not make us read gigabytes."""


_SHOWN = 8
"""Partitions in a repr."""
_NUMBERS = {
    **dict.fromkeys(("total_sectors", "first_usable_lba", "last_usable_lba"), MAX_LBA),
    **dict.fromkeys(("primary_entries_lba", "backup_entries_lba", "backup_lba"), MAX_LBA),
    **dict.fromkeys(("revision", "header_size", "reserved"), (1 << 32) - 1),
}
"""The largest value of each field."""


def _check_sector_size(size: int) -> None:
    check_number("sector size", size)
    if size < SECTOR_SIZES[0] or size & (size - 1):
        raise InvalidValueError(f"a sector size of {size} bytes is not supported; expected 512 or 4096")


def array_sectors(array_bytes: int, sector_size: int) -> int:
    """Sectors that an entry array of so many bytes fills, the last one possibly in part."""
    return -(-array_bytes // sector_size)


def valid_entry_size(size: int) -> bool:
    """Whether ``size`` is 128 * 2^n (UEFI 2.10 table 5.5)."""
    return size >= MIN_ENTRY_SIZE and size & (size - 1) == 0


class Table(CheckedRecord):
    """A GPT, independent of where it is stored. LBAs and sizes are in sectors of ``sector_size`` bytes.

    Raises InvalidValueError for what no header can hold; whether the parts fit where they are to stand is ``gptlib.read.checks``'s.
    """

    sector_size: int
    total_sectors: int
    disk_guid: Guid
    first_usable_lba: int
    last_usable_lba: int
    entries: EntryArray
    primary_entries_lba: int
    backup_entries_lba: int
    backup_lba: int
    revision: int = REVISION
    header_size: int = HEADER_SIZE
    reserved: int = 0
    primary_tail: bytes = b""
    """What follows the 92 bytes in the sector of the primary header, without the zeros at the end."""
    backup_tail: bytes = b""

    def _check(self, given: Collection[str]) -> None:
        for name, most in _NUMBERS.items():
            if name in given:
                check_number(name.replace("_", " "), getattr(self, name), most=most)
        if "sector_size" in given:
            _check_sector_size(self.sector_size)
        if "disk_guid" in given:
            check_kind("disk GUID", self.disk_guid, Guid)
        if "entries" in given:
            check_kind("entry array", self.entries, EntryArray)
        for name in ("primary_tail", "backup_tail"):
            if name in given:
                check_kind(name.replace("_", " "), getattr(self, name), bytes)
                if len(getattr(self, name)) > self.sector_size - HEADER_SIZE:
                    raise InvalidValueError(f"{len(getattr(self, name))} bytes do not fit behind the header")

    def __repr__(self) -> str:
        shown = [f"{n} {p.label!r} {p.first_lba}-{p.last_lba} {p.attributes}" for n, p in self.partitions.items()]
        more = [f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        return (
            f"<Table: {self.total_sectors} sectors of {self.sector_size} bytes, usable {self.first_usable_lba} to "
            f"{self.last_usable_lba}, disk {self.disk_guid}, {self.entries.capacity} entries of {self.entries.entry_size} "
            f"bytes: {'; '.join([*shown[:_SHOWN], *more]) or 'no partitions'}>"
        )

    @classmethod
    def new(
        cls,
        *,
        total_sectors: int,
        sector_size: int = 512,
        disk_guid: Guid | None = None,
        entry_count: int = 128,
        entry_size: int = MIN_ENTRY_SIZE,
        padding: int = 0,
    ) -> Table:
        """An empty table for a disk of ``total_sectors``; ``padding`` sectors are left free before the primary entries.

        Raises InvalidValueError for sizes that UEFI does not allow and TableError for a disk that is too small.
        """
        _check_sector_size(sector_size)
        check_number("number of sectors", total_sectors)
        check_number("number of entries", entry_count)
        check_number("entry size", entry_size)
        check_number("padding", padding)
        if disk_guid is not None:
            check_kind("disk GUID", disk_guid, Guid)
        if not valid_entry_size(entry_size) or not 1 <= entry_count <= MAX_ARRAY_BYTES // entry_size:
            raise InvalidValueError(f"{entry_count} entries of {entry_size} bytes are not allowed; sizes are 128 * 2^n")
        entries = EntryArray(bytes(entry_count * entry_size), entry_size)
        length = array_sectors(len(entries), sector_size)
        first, last = 2 + padding + length, total_sectors - length - 2
        if last < first:
            raise TableError(f"a disk of {total_sectors} sectors is too small for a GPT; it needs {first + length + 2}")
        return cls(
            sector_size=sector_size,
            total_sectors=total_sectors,
            disk_guid=Guid.random() if disk_guid is None else disk_guid,
            first_usable_lba=first,
            last_usable_lba=last,
            entries=entries,
            primary_entries_lba=2 + padding,
            backup_entries_lba=last + 1,
            backup_lba=total_sectors - 1,
        )

    @property
    def partitions(self) -> Mapping[int, Partition]:
        """The used entries by their 1-based number, in the order of the array."""
        return self.entries.partitions

    def entries_lba(self, *, primary: bool) -> int:
        """The first sector of the entries of the primary, or of the backup."""
        return self.primary_entries_lba if primary else self.backup_entries_lba

    @property
    def entries_sectors(self) -> int:
        """Sectors that each of the two entry arrays fills."""
        return array_sectors(len(self.entries), self.sector_size)

    @property
    def array_shape(self) -> tuple[int, int]:
        """Number and size (bytes) of the entries."""
        return self.entries.capacity, self.entries.entry_size

    def partition(self, index: int) -> Partition:
        """The partition with this number. Raises TableError when the entry is unused."""
        self._check_used(index)
        return self.entries.entry(index)

    def find(
        self, *, type_guid: Guid | None = None, unique_guid: Guid | None = None, label: str | None = None
    ) -> list[int]:
        """Numbers of the partitions that match everything given, in order. Raises InvalidValueError for what is not a GUID or label."""
        for name, value, kind in (("type", type_guid, Guid), ("unique GUID", unique_guid, Guid), ("label", label, str)):
            if value is not None:
                check_kind(name, value, kind)
        return [
            index
            for index, partition in self.partitions.items()
            if (type_guid is None or partition.type_guid == type_guid)
            and (unique_guid is None or partition.unique_guid == unique_guid)
            and (label is None or partition.label == label)
        ]

    def with_attributes(self, index: int, attributes: Attributes) -> Table:
        """Change the attribute bits of one partition. Raises TableError when there is none, InvalidValueError for a plain number."""
        self._check_used(index)
        return self._replace(entries=self.entries.with_attributes(index, attributes))

    def with_slot(
        self, index: int, *, priority: int | None = None, tries: int | None = None, successful: bool | None = None
    ) -> Table:
        """Change the slot bits of one partition. Raises TableError when there is none, InvalidValueError outside 0..15."""
        attributes = self.partition(index).attributes
        return self.with_attributes(index, attributes.with_slot(priority=priority, tries=tries, successful=successful))

    def add(self, partition: Partition, index: int | None = None) -> Table:
        """Fill a free entry, by default the first. Raises TableError for an illegal place, overlap or duplicate GUID."""
        if index is None:
            index = next((n for n in range(1, self.entries.capacity + 1) if n not in self.partitions), 0)
            if not index:
                raise TableError(f"all {self.entries.capacity} entries are used")
        if index in self.partitions:
            raise TableError(f"partition {index} exists already ({self.partitions[index].label!r})")
        return self.change(index, partition, _new=True)

    def change(self, index: int, partition: Partition, *, _new: bool = False) -> Table:
        """Replace one entry. Raises TableError for an illegal place, overlap, duplicate GUID or unused entry."""
        check_kind("partition", partition, Partition)
        self.entries.entry(index)
        if not _new:
            self._check_used(index)
        self._check_place(index, partition)
        return self._with_entry(index, partition)

    def remove(self, index: int) -> Table:
        """Zero one entry. Raises TableError when it is unused."""
        self._check_used(index)
        return self._with_entry(index, None)

    def resize(self, index: int, sectors: int) -> Table:
        """Change the size of a partition, keeping its start. Raises TableError when it would not fit, InvalidValueError for 0."""
        check_number("number of sectors", sectors, 1)
        old = self.partition(index)
        return self.change(index, old._replace(last_lba=old.first_lba + sectors - 1))

    def renumber(self) -> Table:
        """Number the partitions by their place on the disk, without gaps (as ``sgdisk --sort``)."""
        in_order = sorted(self.partitions, key=lambda n: self.partitions[n].first_lba)
        used = b"".join(self.entries.raw_entry(number) for number in in_order)
        return self._replace(entries=EntryArray(used.ljust(len(self.entries), b"\0"), self.entries.entry_size))

    def free_space(self, alignment: int = 1) -> list[tuple[int, int]]:
        """Free ranges as (first, last) LBA, starts rounded up to ``alignment`` sectors. Raises InvalidValueError for 0."""
        check_number("alignment", alignment, 1)
        free, at = [], self.first_usable_lba
        for partition in sorted(self.partitions.values(), key=lambda p: p.first_lba):
            free.append((at, partition.first_lba - 1))
            at = max(at, partition.last_lba + 1)
        free.append((at, self.last_usable_lba))
        aligned = [(-(-first // alignment) * alignment, last) for first, last in free]
        return [(first, last) for first, last in aligned if first <= last]

    def relocate(self, total_sectors: int) -> Table:
        """Move the backup to the end of a disk that was grown or shrunk to ``total_sectors``.

        Raises TableError when a partition would lie beyond the last usable sector, InvalidValueError for what is not a size.
        """
        check_number("number of sectors", total_sectors)
        last = total_sectors - self.entries_sectors - 2
        beyond = [n for n, p in self.partitions.items() if p.last_lba > last]
        if beyond or last < self.first_usable_lba:
            raise TableError(
                f"a disk of {total_sectors} sectors is too small: partitions {beyond} end after sector {last}"
            )
        return self._replace(
            total_sectors=total_sectors,
            last_usable_lba=last,
            backup_entries_lba=last + 1,
            backup_lba=total_sectors - 1,
        )

    def _with_entry(self, index: int, partition: Partition | None) -> Table:
        return self._replace(entries=self.entries.with_entry(index, partition))

    def _check_used(self, index: int) -> None:
        if not self.entries.is_used(index):
            raise TableError(f"there is no partition {index}; used: {list(self.partitions)}")

    def _check_place(self, index: int, partition: Partition) -> None:
        first, last = partition.first_lba, partition.last_lba
        if first > last:
            raise TableError(f"partition {index} would end (sector {last}) before it starts (sector {first})")
        if first < self.first_usable_lba or last > self.last_usable_lba:
            raise TableError(
                f"partition {index} would cover sectors {first} to {last}; usable are {self.first_usable_lba} to "
                f"{self.last_usable_lba}"
            )
        for number, other in self.partitions.items():
            if number == index:
                continue
            if first <= other.last_lba and other.first_lba <= last:
                raise TableError(
                    f"partition {index} (sectors {first} to {last}) would overlap partition {number} "
                    f"(sectors {other.first_lba} to {other.last_lba})"
                )
            if partition.unique_guid == other.unique_guid:
                raise TableError(f"partition {number} has the GUID {other.unique_guid} already")
