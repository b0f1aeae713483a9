"""GUIDs, attributes, records and partitions: illegal values fail when they are made."""

from __future__ import annotations

import copy
import pickle
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptlib
from gptlib import Attributes, Disk, Guid, InvalidValueError, Partition, Table, TableError, type_guid
from gptlib._record import Record
from gptlib.dump import Dump
from gptlib.table.attributes import LEGACY_BOOT, REQUIRED
from gptlib.table.partition import EntryArray, encode_partition
from gptlib.write.plan import Write
from tests.gptlib.handmade import Entry
from tests.gptlib.tables import examples, guids

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USR = type_guid("coreos-usr")


@examples(100)
@given(st.uuids())
def test_a_guid_has_the_text_and_the_bytes_that_python_s_uuid_gives_it(value: uuid.UUID) -> None:
    guid = Guid(value.bytes_le)
    assert str(guid) == str(value).upper()
    assert guid.text == str(value)
    assert Guid.parse(str(value)) == Guid.parse(str(value).upper()) == guid
    assert repr(guid) == f"Guid.parse('{guid}')"


def test_random_guids_are_of_version_4() -> None:
    made = [uuid.UUID(str(Guid.random())) for _ in range(50)]
    assert {guid.version for guid in made} == {4}
    assert {guid.variant for guid in made} == {uuid.RFC_4122}
    assert len(set(made)) == 50


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "01234567-89AB-CDEF-0123-456789ABCDE",
        "0123456789ABCDEF0123456789ABCDEF----",
        "{01234567-89AB-CDEF-0123-456789ABCDEF}",
        "01234567-89AB-CDEF-0123-456789ABCDEG",
        "01234567 89AB-CDEF-0123-456789ABCDEF",
        "0123456-789AB-CDEF-0123-456789ABCDEF",
        "+1234567-89AB-CDEF-0123-456789ABCDEF",
    ],
)
def test_what_is_no_guid_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="is not a GUID"):
        Guid.parse(text)


def test_a_guid_has_16_bytes() -> None:
    with pytest.raises(InvalidValueError, match="16 bytes, not 15"):
        Guid(bytes(15))


@examples(100)
@given(
    bits=st.integers(0, (1 << 64) - 1),
    priority=st.none() | st.integers(0, 15),
    tries=st.none() | st.integers(0, 15),
    successful=st.none() | st.booleans(),
)
def test_changing_the_slot_bits_leaves_all_others_alone(
    bits: int, priority: int | None, tries: int | None, successful: bool | None
) -> None:
    old = Attributes(bits)
    new = old.with_slot(priority=priority, tries=tries, successful=successful)
    assert new & ~(0x1FF << 48) == old & ~(0x1FF << 48)
    assert new.priority == (old.priority if priority is None else priority)
    assert new.tries == (old.tries if tries is None else tries)
    assert new.successful == (old.successful if successful is None else successful)


def test_attributes_are_at_the_bits_where_chromeos_and_uefi_put_them() -> None:
    bits = Attributes(0x01A5 << 48 | 5)
    assert (bits.priority, bits.tries, bits.successful) == (5, 10, True)
    assert bits.required
    assert bits.legacy_boot
    assert str(bits) == "priority=5 tries=10 successful=1"
    assert bits.short == "5/10/1"
    assert repr(bits) == "Attributes(0x1a5000000000005)"
    assert Attributes(0).with_bits(REQUIRED | LEGACY_BOOT, on=True) == 5
    assert Attributes(5).with_bits(REQUIRED, on=False) == 4


@pytest.mark.parametrize("value", [{"priority": 16}, {"priority": -1}, {"tries": 16}, {"tries": -1}])
def test_an_impossible_attribute_is_refused(value: dict[str, int]) -> None:
    with pytest.raises(InvalidValueError, match=r"it must be between 0 and 15"):
        Attributes(0).with_slot(priority=value.get("priority"), tries=value.get("tries"))


@pytest.mark.parametrize("value", [-1, 1 << 64])
def test_attributes_have_64_bits(value: int) -> None:
    with pytest.raises(InvalidValueError, match="do not fit into 64 bits"):
        Attributes(value)


@examples(60)
@given(
    first=st.integers(0, (1 << 64) - 1),
    size=st.integers(1, 1 << 40),
    bits=st.integers(0, (1 << 64) - 1),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=18),
    guid=guids,
)
def test_an_entry_has_the_bytes_of_the_specification(first: int, size: int, bits: int, name: str, guid: Guid) -> None:
    last = min(first + size - 1, (1 << 64) - 1)
    partition = Partition(type_guid("coreos-usr"), guid, first, last, Attributes(bits), name)
    expected = Entry(first, last, name, bits, guid=uuid.UUID(str(guid))).encode(128)
    assert encode_partition(partition) == expected
    assert EntryArray(expected).partitions == {1: partition}


def test_any_name_that_a_disk_holds_is_given_back_exactly() -> None:
    """Text after a NUL and lone surrogates, as damage leaves them."""
    raw = bytearray(Entry(40, 41, "visible\0hidden").encode(128))
    raw[56 + 30 : 56 + 34] = b"\x00\xd8\x41\x00"
    partition = EntryArray(bytes(raw)).partitions[1]
    assert partition.label == "visible"
    assert encode_partition(partition) == bytes(raw)


PARTITION = Partition(type_guid("efi"), Guid(b"P" * 16), 50, 59, Attributes(4), "P")
TABLE = Table.new(total_sectors=2048).add(PARTITION, 3)
ARRAY = TABLE.entries
BIG = 1 << 64

ILLEGAL: dict[str, Callable[[], object]] = {
    "a GUID from text": lambda: Guid("x" * 16),  # type: ignore[arg-type]
    "a GUID from a number": lambda: Guid(16),  # type: ignore[arg-type]
    "a GUID from None": lambda: Guid.parse(None),  # type: ignore[arg-type]
    "attributes below 0": lambda: Attributes(-1),
    "attributes of 65 bits": lambda: Attributes(BIG),
    "attributes from a bool": lambda: Attributes(True),
    "attributes from text": lambda: Attributes("1"),  # type: ignore[arg-type]
    "a priority of 16": lambda: Attributes().with_slot(priority=16),
    "a priority that is a bool": lambda: Attributes().with_slot(priority=True),
    "tries below 0": lambda: Attributes().with_slot(tries=-1),
    "tries and a half": lambda: Attributes().with_slot(tries=0.5),  # type: ignore[arg-type]
    "twice successful": lambda: Attributes().with_slot(successful=2),  # type: ignore[arg-type]
    "a mask below 0": lambda: Attributes().with_bits(-1, on=False),
    "a mask of 65 bits": lambda: Attributes().with_bits(BIG, on=False),
    "an entry size of 100": lambda: EntryArray(bytes(200), 100),
    "an entry size of 384": lambda: EntryArray(bytes(384), 384),
    "half an entry": lambda: EntryArray(bytes(192)),
    "no entries": lambda: EntryArray(b""),
    "an entry size that is a bool": lambda: EntryArray(bytes(128), True),
    "a plain number of attributes for an entry": lambda: ARRAY.with_attributes(3, 5),  # type: ignore[arg-type]
    "an entry of a bool": lambda: ARRAY.is_used(True),
    "a partition that ends before it starts": lambda: Partition(USR, Guid.random(), 10, 9),
    "one moved behind its end": lambda: PARTITION._replace(first_lba=60),
    "one that starts below 0": lambda: PARTITION._replace(first_lba=-1),
    "one that ends beyond 64 bits": lambda: PARTITION._replace(last_lba=BIG),
    "one that starts at a bool": lambda: PARTITION._replace(first_lba=True),
    "one that ends at a fraction": lambda: PARTITION._replace(last_lba=59.0),  # type: ignore[arg-type]
    "a plain number of attributes": lambda: PARTITION._replace(attributes=5),  # type: ignore[arg-type]
    "a type as text": lambda: PARTITION._replace(type_guid="efi"),  # type: ignore[arg-type]
    "the type of unused entries": lambda: PARTITION._replace(type_guid=Guid(bytes(16))),
    "a GUID as bytes": lambda: PARTITION._replace(unique_guid=bytes(16)),  # type: ignore[arg-type]
    "a label of 37 letters": lambda: PARTITION._replace(name="x" * 37),
    "a label of 38 UTF-16 units": lambda: Partition(USR, Guid.random(), 5, 9, Attributes(), "\N{GRINNING FACE}" * 19),
    "a label as bytes": lambda: PARTITION._replace(name=b"x"),  # type: ignore[arg-type]
    "a disk below 0": lambda: Table.new(total_sectors=-1),
    "a disk that is a bool": lambda: Table.new(total_sectors=True),
    "a disk of 65 bits": lambda: Table.new(total_sectors=BIG),
    "sectors of 513 bytes": lambda: Table.new(total_sectors=2048, sector_size=513),
    "sectors of 256 bytes": lambda: Table.new(total_sectors=2048, sector_size=256),
    "no entries of a table": lambda: Table.new(total_sectors=2048, entry_count=0),
    "entries below 0": lambda: Table.new(total_sectors=2048, entry_count=-1),
    "entries of 100 bytes": lambda: Table.new(total_sectors=2048, entry_size=100),
    "padding below 0": lambda: Table.new(total_sectors=2048, padding=-1),
    "a disk GUID as bytes": lambda: Table.new(total_sectors=2048, disk_guid=bytes(16)),  # type: ignore[arg-type]
    "a plain number as attributes of a table": lambda: TABLE.with_attributes(3, 5),  # type: ignore[arg-type]
    "attributes of a bool": lambda: TABLE.with_attributes(True, Attributes(1)),
    "a number of a partition that is text": lambda: TABLE.partition("3"),  # type: ignore[arg-type]
    "a number of a partition that is a bool": lambda: TABLE.add(PARTITION, True),
    "a partition that is none": lambda: TABLE.add(None),  # type: ignore[arg-type]
    "no sectors": lambda: TABLE.resize(3, 0),
    "fewer than no sectors": lambda: TABLE.resize(3, -5),
    "more sectors than there are": lambda: TABLE.resize(3, BIG),
    "an alignment of 0": lambda: TABLE.free_space(0),
    "an alignment of a half": lambda: TABLE.free_space(0.5),  # type: ignore[arg-type]
    "a relocation below 0": lambda: TABLE.relocate(-1),
    "a relocation beyond 64 bits": lambda: TABLE.relocate(BIG),
    "a search for a type by name": lambda: TABLE.find(type_guid="efi"),  # type: ignore[arg-type]
    "a search for a label in bytes": lambda: TABLE.find(label=b"P"),  # type: ignore[arg-type]
    "a usable sector below 0": lambda: TABLE._replace(first_usable_lba=-1),
    "a backup beyond 64 bits": lambda: TABLE._replace(backup_lba=BIG),
    "a revision of 33 bits": lambda: TABLE._replace(revision=1 << 32),
    "a disk GUID as text": lambda: TABLE._replace(disk_guid=str(TABLE.disk_guid)),  # type: ignore[arg-type]
    "entries that are bytes": lambda: TABLE._replace(entries=bytes(16384)),  # type: ignore[arg-type]
    "a tail that is too long": lambda: TABLE._replace(primary_tail=bytes(421)),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_value_fails_when_it_is_made(name: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        ILLEGAL[name]()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("index", [0, -1, 129])
def test_there_is_no_entry_of_this_number(index: int) -> None:
    """Not the last one either, nor a longer array."""
    calls: list[Callable[[], object]] = [
        lambda: ARRAY.entry(index),
        lambda: ARRAY.with_attributes(index, Attributes(1)),
        lambda: ARRAY.with_entry(index, None),
        lambda: TABLE.add(PARTITION._replace(unique_guid=Guid.random(), first_lba=70, last_lba=79), index),
    ]
    for call in calls:
        with pytest.raises(TableError, match=f"there is no entry {index}; this table has entries 1 to 128"):
            call()


def test_what_a_damaged_disk_holds_can_be_read_copied_and_changed_where_it_is_legal() -> None:
    raw = Entry(99, 20, "reversed", 1).encode(128)
    partition = EntryArray(raw).partitions[1]
    assert (partition.first_lba, partition.last_lba) == (99, 20)
    assert copy.copy(partition) == copy.deepcopy(partition) == pickle.loads(pickle.dumps(partition)) == partition  # noqa: S301
    assert partition._replace(name="still").last_lba == 20
    assert partition._replace(first_lba=5).first_lba == 5
    with pytest.raises(InvalidValueError, match="would end before it starts"):
        partition._replace(first_lba=98)
    with pytest.raises(InvalidValueError, match="would end before it starts"):
        encode_partition(partition)
    assert encode_partition(partition, legal=False) == raw


def test_values_are_shown_in_a_line(path: Path) -> None:
    """Not with the bytes of their sectors."""
    full = Table.new(total_sectors=4096)
    for number in range(1, 129):
        full = full.add(Partition(USR, Guid.random(), 40 + number, 40 + number, Attributes(0), f"P{number}"))
    with Disk.open(path) as disk:
        state = disk.read()
    write = Write(7, bytes(16384))
    dump = Dump(TABLE, bytes(512))
    for value in (full, full.entries, state, state.primary, write, dump):
        assert len(repr(value)) < 1500, repr(value)
        assert "\n" not in repr(value)
    assert "3 'P' 50-59 priority=0 tries=0 successful=0" in repr(TABLE)
    assert "P8" in repr(full)
    assert "and 120 more" in repr(full)
    assert repr(ARRAY) == "<EntryArray: 1 of 128 entries of 128 bytes used>"
    assert "primary in sector 1, valid" in repr(state.primary)
    assert repr(write) == "Write(lba=7, 16384 bytes)"


class Point(Record):
    x: int
    y: int = 7


def test_records_are_values() -> None:
    point = Point(1)
    assert point == Point(1, 7) == Point(x=1) == Point(y=7, x=1)
    assert hash(point) == hash(Point(1, 7))
    assert tuple(point) == (1, 7)
    assert point._replace(y=2) == Point(1, 2)
    assert point._asdict() == {"x": 1, "y": 7}
    assert repr(point) == "Point(x=1, y=7)"
    assert copy.deepcopy(point) == point
    with pytest.raises(AttributeError):
        object.__setattr__(point, "x", 3)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2})])
def test_a_record_with_wrong_fields_is_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"Point takes \(x, y\)"):
        Point(*values, **named)


def test_replacing_a_field_that_is_none_is_refused() -> None:
    other: dict[str, Any] = {"z": 1}
    with pytest.raises(TypeError, match="has no field z"):
        Point(1)._replace(**other)


def test_the_package_exports_its_names_lazily() -> None:
    assert gptlib.Disk is __import__("gptlib.disk", fromlist=["Disk"]).Disk
    assert set(gptlib.__all__) <= set(dir(gptlib))
    for name in gptlib.__all__:
        assert getattr(gptlib, name)
    name = "non"
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(gptlib, name + "sense")
