"""One used entry of the partition table, and the array that holds the entries."""

from __future__ import annotations

from _codecs import utf_16_le_decode, utf_16_le_encode
from struct import Struct

from gptlib._record import CheckedRecord
from gptlib._values import MAX_LBA, check_kind, check_number
from gptlib.errors import InvalidValueError, TableError
from gptlib.layout.compiled import ENTRY_FORMAT, ENTRY_SIZE, EntryBytes, EntryFields
from gptlib.table.attributes import Attributes
from gptlib.table.crc import crc32
from gptlib.table.guid import ZERO, Guid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Self

_ENTRY = Struct(ENTRY_FORMAT)
MIN_ENTRY_SIZE = ENTRY_SIZE
NAME_BYTES = EntryBytes.partition_name.stop - EntryBytes.partition_name.start
"""Size of the name: 36 UTF-16 code units."""


class Partition(CheckedRecord):
    """A used entry. LBAs count logical sectors of the disk; ``last_lba`` is the last sector that belongs to it.

    Raises InvalidValueError for what no entry can hold, and for one that ends before it starts. What a damaged disk holds can be
    read and shown all the same, and its attributes changed.
    """

    type_guid: Guid
    unique_guid: Guid
    first_lba: int
    last_lba: int
    attributes: Attributes = Attributes(0)
    name: str = ""
    """All 36 UTF-16 code units without trailing NULs, lone surrogates included, so that they round-trip exactly."""

    def _check(self, given: Collection[str]) -> None:
        if "type_guid" in given:
            check_kind("type", self.type_guid, Guid)
            _check_type(self.type_guid)
        if "unique_guid" in given:
            check_kind("unique GUID", self.unique_guid, Guid)
        if "first_lba" in given or "last_lba" in given:
            _check_place(self.first_lba, self.last_lba)
        if "attributes" in given:
            check_kind("attributes", self.attributes, Attributes)
        if "name" in given:
            check_kind("label", self.name, str)
            _encode_name(self.name)

    @property
    def label(self) -> str:
        """The name up to the first NUL, as every tool shows it."""
        return self.name.partition("\0")[0]

    @property
    def sectors(self) -> int:
        """Size in sectors."""
        return self.last_lba - self.first_lba + 1


def _check_type(guid: Guid) -> None:
    if guid.is_zero:
        raise InvalidValueError("the zero GUID is the mark of an unused entry; it is not a partition type")


def _check_place(first: int, last: int) -> None:
    check_number("first sector", first)
    check_number("last sector", last)
    if first > last:
        raise InvalidValueError(
            f"a partition from sector {first} to {last} is not allowed: it would end before it starts"
        )


def _encode_name(name: str) -> bytes:
    encoded = utf_16_le_encode(name, "surrogatepass")[0]
    if len(encoded) > NAME_BYTES:
        label = name.partition("\0")[0]
        raise InvalidValueError(
            f"the label {label!r} has {len(encoded) // 2} UTF-16 units; at most {NAME_BYTES // 2} fit"
        )
    return encoded


def encode_partition(partition: Partition, *, legal: bool = True) -> bytes:
    """The 128 bytes of the entry. Raises InvalidValueError for an LBA or a name that does not fit.

    Without ``legal``, a partition that ends before it starts is encoded too, as a damaged table may hold one.
    """
    kind, unique, first, last, attributes, name = partition
    _check_type(kind)
    # One that was read from a damaged disk.
    _check_place(first, last) if legal else _check_place(min(first, last), max(first, last))
    raw = EntryFields(
        partition_type_guid=kind,
        unique_partition_guid=unique,
        starting_lba=first,
        ending_lba=last,
        attributes=attributes,
        partition_name=_encode_name(name),
    )
    return _ENTRY.pack(*raw)


def decode_entry(data: bytes, at: int = 0) -> EntryFields:
    """The fields of the entry, used or not, that starts at byte ``at`` and has at least 128 bytes."""
    return EntryFields._make(_ENTRY.unpack_from(data, at))


def _partition(raw: EntryFields) -> Partition:
    # What struct has unpacked fits: the checks of the constructors would be a fifth of the time in which a full table is read.
    kind = bytes.__new__(Guid, raw.partition_type_guid)
    unique = bytes.__new__(Guid, raw.unique_partition_guid)
    attributes = int.__new__(Attributes, raw.attributes)
    name = utf_16_le_decode(raw.partition_name, "surrogatepass", True)[0].rstrip("\0")
    return Partition._make((kind, unique, raw.starting_lba, raw.ending_lba, attributes, name))


class EntryArray(bytes):
    """The bytes of a partition entry array. Unused entries and the reserved tails of large entries are kept as they are."""

    entry_size: int
    _partitions: dict[int, Partition] | None
    _crc32: int | None

    def __new__(cls, data: bytes | bytearray, entry_size: int = MIN_ENTRY_SIZE, known_crc32: int | None = None) -> Self:
        """Wrap ``data``, whose CRC may be known. Raises InvalidValueError unless it is made of entries of 128 * 2^n bytes."""
        check_number("entry size", entry_size, MIN_ENTRY_SIZE)
        if entry_size & (entry_size - 1) or not data or len(data) % entry_size:
            raise InvalidValueError(f"{len(data)} bytes are not entries of {entry_size} bytes; sizes are 128 * 2^n")
        self = super().__new__(cls, data)
        self.entry_size = entry_size
        self._partitions, self._crc32 = None, known_crc32
        return self

    def __eq__(self, other: object) -> bool:
        same_size = not isinstance(other, EntryArray) or other.entry_size == self.entry_size
        return same_size and bytes.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__

    def __repr__(self) -> str:
        return f"<EntryArray: {len(self.partitions)} of {self.capacity} entries of {self.entry_size} bytes used>"

    @property
    def crc32(self) -> int:
        """The CRC that a header names for this array; computed once."""
        if self._crc32 is None:
            self._crc32 = crc32(self)
        return self._crc32

    @property
    def capacity(self) -> int:
        """Number of entries, used or not."""
        return len(self) // self.entry_size

    @property
    def partitions(self) -> Mapping[int, Partition]:
        """The used entries by their number; the first entry has number 1."""
        if self._partitions is None:
            self._partitions = {index: _partition(raw) for index, raw in self._used()}
        return self._partitions

    def _used(self) -> Iterator[tuple[int, EntryFields]]:
        for index, at in enumerate(range(0, len(self), self.entry_size), 1):
            if not self.startswith(ZERO, at):
                yield index, decode_entry(self, at)

    def is_used(self, index: int) -> bool:
        """Whether there is an entry of this number, and a partition in it. Raises InvalidValueError for what is not a number."""
        check_number("number of a partition", index, -MAX_LBA)
        at = (index - 1) * self.entry_size
        return 0 <= at < len(self) and not self.startswith(ZERO, at)

    def entry(self, index: int) -> Partition:
        """Entry ``index`` whatever it holds; an unused one has the zero GUID as its type. Raises TableError for none."""
        return _partition(decode_entry(self.raw_entry(index)))

    def raw_entry(self, index: int) -> bytes:
        """The bytes of entry ``index`` with its reserved tail. Raises TableError for none."""
        at = self._place(index)
        return self[at : at + self.entry_size]

    def _place(self, index: int) -> int:
        check_number("number of a partition", index, -MAX_LBA)
        if not 1 <= index <= self.capacity:
            raise TableError(f"there is no entry {index}; this table has entries 1 to {self.capacity}")
        return (index - 1) * self.entry_size

    def with_attributes(self, index: int, attributes: Attributes) -> EntryArray:
        """A copy in which entry ``index`` has other attribute bits. The rest of it stays, be it as illegal as it may.

        Raises TableError when there is no such entry, InvalidValueError for anything but Attributes.
        """
        check_kind("attributes", attributes, Attributes)
        raw = decode_entry(self.raw_entry(index))._replace(attributes=attributes)
        array = EntryArray(self.with_raw(index, raw), self.entry_size)
        if self._partitions is not None and index in self._partitions:
            # All other entries are those that have been decoded here.
            array._partitions = {**self._partitions, index: array.entry(index)}
        return array

    def with_raw(self, index: int, raw: EntryFields) -> EntryArray:
        """A copy in which entry ``index`` has these fields, be they as illegal as they may; its reserved tail stays.

        Raises TableError when there is no such entry.
        """
        return self._with_bytes(self._place(index), _ENTRY.pack(*raw))

    def with_entry(self, index: int, partition: Partition | None) -> EntryArray:
        """A copy with entry ``index`` replaced, or zeroed for None. The reserved tail of a used entry stays.

        Raises TableError when there is no such entry, InvalidValueError for a partition that cannot be.
        """
        at = self._place(index)
        if partition is None:
            entry = bytes(self.entry_size)
        elif self.is_used(index):
            entry = encode_partition(partition)
        else:
            entry = encode_partition(partition).ljust(self.entry_size, b"\0")
        return self._with_bytes(at, entry)

    def _with_bytes(self, at: int, data: bytes) -> EntryArray:
        changed = bytearray(self)
        changed[at : at + len(data)] = data
        return EntryArray(changed, self.entry_size)
