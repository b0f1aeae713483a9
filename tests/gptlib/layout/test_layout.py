"""The declarations, what is generated from them, and the CRC."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path
from struct import unpack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from construct import Struct
from hypothesis import given
from hypothesis import strategies as st

import gptlib.layout
from gptlib.layout import compiled, generate
from gptlib.layout.entry import ENTRY
from gptlib.layout.header import HEADER
from gptlib.layout.mbr import BOOT_CODE, MBR, MBR_RECORD
from gptlib.table.crc import crc32, uses_c_extension
from tests.gptlib.tables import examples

if TYPE_CHECKING:
    from gptlib._record import Record

FOLDER = Path(gptlib.layout.__path__[0])


class Compiled(NamedTuple):
    """A declaration, what is generated from it, and the size that the specification gives."""

    declaration: Struct
    layout: str
    size: int
    fields: type[Record]
    places: type
    specified: int


# Sizes of UEFI 2.10 tables 5.5, 5.6, 5.1 and 5.2; the boot code is a field of the MBR.
LAYOUTS = {
    "header": Compiled(
        HEADER, compiled.HEADER_FORMAT, compiled.HEADER_SIZE, compiled.HeaderFields, compiled.HeaderBytes, 92
    ),
    "entry": Compiled(
        ENTRY, compiled.ENTRY_FORMAT, compiled.ENTRY_SIZE, compiled.EntryFields, compiled.EntryBytes, 128
    ),
    "mbr": Compiled(MBR, compiled.MBR_FORMAT, compiled.MBR_SIZE, compiled.MbrFields, compiled.MbrBytes, 512),
    "boot code": Compiled(
        BOOT_CODE,
        compiled.BOOT_CODE_FORMAT,
        compiled.BOOT_CODE_SIZE,
        compiled.BootCodeFields,
        compiled.BootCodeBytes,
        440,
    ),
    "record": Compiled(
        MBR_RECORD,
        compiled.MBR_RECORD_FORMAT,
        compiled.MBR_RECORD_SIZE,
        compiled.MbrRecordFields,
        compiled.MbrRecordBytes,
        16,
    ),
}


def test_the_generated_module_is_that_of_the_declarations() -> None:
    assert (FOLDER / "compiled.py").read_text() == generate.render()


@pytest.mark.parametrize("name", LAYOUTS)
@examples(50)
@given(data=st.data())
def test_struct_and_construct_read_the_same_fields(name: str, data: st.DataObject) -> None:
    made = LAYOUTS[name]
    raw = data.draw(st.binary(min_size=made.specified, max_size=made.specified))
    parsed = made.declaration.parse(raw)
    assert made.declaration.sizeof() == made.size == made.specified
    assert [parsed[field] for field in made.fields._fields] == list(unpack(made.layout, raw))
    assert made.declaration.build(parsed) == raw


@pytest.mark.parametrize("name", LAYOUTS)
@examples(50)
@given(data=st.data())
def test_the_bytes_of_each_field_are_those_that_construct_reads(name: str, data: st.DataObject) -> None:
    made = LAYOUTS[name]
    raw = data.draw(st.binary(min_size=made.specified, max_size=made.specified))
    parsed = made.declaration.parse(raw)
    for field in made.fields._fields:
        part = raw[getattr(made.places, field)]
        value = parsed[field]
        assert part == (value if isinstance(value, bytes) else value.to_bytes(len(part), "little"))
    assert b"".join(raw[getattr(made.places, field)] for field in made.fields._fields) == raw


def test_the_places_are_those_of_the_specification() -> None:
    """UEFI 2.10 tables 5.5, 5.6 and 5.1: a few of them, by hand."""
    assert compiled.HeaderBytes.header_crc32 == slice(16, 20)
    assert compiled.HeaderBytes.partition_entry_array_crc32 == slice(88, 92)
    assert compiled.EntryBytes.unique_partition_guid == slice(16, 32)
    assert compiled.EntryBytes.attributes == slice(48, 56)
    assert compiled.MbrBytes.partition_records == slice(446, 510)
    assert compiled.BootCodeBytes.boot_guid == slice(424, 440)
    assert compiled.MbrRecordBytes.os_type == slice(4, 5)


def test_a_declaration_that_struct_cannot_express_is_refused() -> None:
    with pytest.raises(TypeError, match="no struct format"):
        generate.struct_format(Struct("nested" / Struct("more" / MBR_RECORD)))


def test_the_crc_is_that_of_zlib() -> None:
    assert crc32(b"123456789") == 0xCBF43926
    assert crc32(b"") == 0


@examples(200)
@given(
    unit=st.sampled_from([128, 256, 384, 512, 12800, 16384, 65536, 131072, 262144]),
    used=st.binary(max_size=300),
    at=st.integers(0, 1 << 18),
)
def test_the_crc_of_an_array_is_that_of_zlib_wherever_its_zeros_begin(unit: int, used: bytes, at: int) -> None:
    data = bytearray(unit)
    at %= unit
    data[at : at + len(used)] = used
    array = bytes(data[:unit])
    assert crc32(array) == zlib.crc32(array)


@pytest.mark.parametrize("end", [*(128 << n for n in range(8)), 1])
def test_one_byte_at_either_side_of_where_the_zeros_begin_counts(end: int) -> None:
    for at in {max(end - 1, 0), end % 16384, 16383}:
        array = bytearray(16384)
        array[at] = 0x5A
        assert crc32(bytes(array)) == zlib.crc32(array)
        array[0] = 0xFF
        assert crc32(bytes(array)) == zlib.crc32(array)


def test_without_the_c_extension_the_crcs_are_the_same() -> None:
    data = random.Random(1).randbytes(16384)
    program = (
        "import sys; sys.modules['crcmod._crcfunext'] = None; "
        "from gptlib.table.crc import crc32, uses_c_extension; "
        "data = sys.stdin.buffer.read(); tail = data[:300] + bytes(len(data) - 300); "
        "print(uses_c_extension(), crc32(data), crc32(tail))"
    )
    out = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True).stdout
    tail = data[:300] + bytes(len(data) - 300)
    assert out.decode().split() == ["False", *(str(zlib.crc32(one)) for one in (data, tail))]


def test_whether_the_c_extension_is_in_use_is_told() -> None:
    assert uses_c_extension() == (find_spec("crcmod._crcfunext") is not None)
