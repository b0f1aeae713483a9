"""GUIDs, attributes, records and partitions: illegal values fail when they are made."""

from __future__ import annotations

import copy
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gptlib
from gptlib import Attributes, Guid, InvalidValueError, Partition, type_guid
from gptlib._record import Record
from gptlib.attributes import LEGACY_BOOT, REQUIRED
from gptlib.partition import EntryArray, encode_partition
from tests.gptlib.handmade import Entry
from tests.gptlib.tables import examples, guids


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
    with pytest.raises(InvalidValueError, match="is no GUID"):
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "x" * 37}, "37 UTF-16 units; at most 36 fit"),
        ({"name": "\N{GRINNING FACE}" * 19}, "38 UTF-16 units"),
        ({"first_lba": 10, "last_lba": 9}, "from sector 10 to 9 cannot be"),
        ({"first_lba": -1}, "cannot be"),
        ({"last_lba": 1 << 64}, "cannot be"),
        ({"type_guid": Guid(bytes(16))}, "the mark of an unused entry"),
    ],
)
def test_an_impossible_partition_is_refused_when_it_is_encoded(change: dict[str, Any], message: str) -> None:
    partition = Partition(type_guid("efi"), Guid.random(), 5, 9)._replace(**change)
    with pytest.raises(InvalidValueError, match=message):
        encode_partition(partition)


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
