"""The declarations, what is generated from them, and the CRC."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from importlib.util import find_spec
from pathlib import Path
from struct import unpack

import pytest
from construct import Struct
from hypothesis import given
from hypothesis import strategies as st

import gptlib.layout
from gptlib.layout import compiled, generate
from gptlib.layout.entry import ENTRY
from gptlib.layout.header import HEADER
from gptlib.layout.mbr import MBR, RECORD
from gptlib.table.crc import crc32, crc32_of_array, uses_c_extension
from tests.gptlib.tables import examples

FOLDER = Path(gptlib.layout.__path__[0])
# Sizes of UEFI 2.10 tables 5.5, 5.6, 5.1 and 5.2.
LAYOUTS = [
    (HEADER, compiled.HEADER_FORMAT, compiled.HEADER_FIELDS, 92),
    (ENTRY, compiled.ENTRY_FORMAT, compiled.ENTRY_FIELDS, 128),
    (MBR, compiled.MBR_FORMAT, compiled.MBR_FIELDS, 512),
    (RECORD, compiled.RECORD_FORMAT, compiled.RECORD_FIELDS, 16),
]


def test_the_generated_modules_are_those_of_the_declarations() -> None:
    assert (FOLDER / "compiled.py").read_text() == generate.render()
    assert (FOLDER / "zeros.py").read_text() == generate.render_zeros()


@pytest.mark.parametrize(("declaration", "layout", "fields", "size"), LAYOUTS, ids=["header", "entry", "mbr", "record"])
@examples(50)
@given(data=st.data())
def test_struct_and_construct_read_the_same_fields(
    declaration: Struct, layout: str, fields: tuple[str, ...], size: int, data: st.DataObject
) -> None:
    raw = data.draw(st.binary(min_size=size, max_size=size))
    parsed = declaration.parse(raw)
    assert declaration.sizeof() == size
    assert [parsed[name] for name in fields] == list(unpack(layout, raw))
    assert declaration.build(parsed) == raw


def test_a_declaration_that_struct_cannot_express_is_refused() -> None:
    with pytest.raises(TypeError, match="no struct format"):
        generate.struct_format(Struct("nested" / Struct("more" / RECORD)))


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
    assert crc32_of_array(array) == zlib.crc32(array)


@pytest.mark.parametrize("end", [*(128 << n for n in range(8)), 1])
def test_one_byte_at_either_side_of_where_the_zeros_begin_counts(end: int) -> None:
    for at in {max(end - 1, 0), end % 16384, 16383}:
        array = bytearray(16384)
        array[at] = 0x5A
        assert crc32_of_array(bytes(array)) == zlib.crc32(array)
        array[0] = 0xFF
        assert crc32_of_array(bytes(array)) == zlib.crc32(array)


def test_without_the_c_extension_the_crcs_are_the_same() -> None:
    data = random.Random(1).randbytes(16384)
    program = (
        "import sys; sys.modules['crcmod._crcfunext'] = None; "
        "from gptlib.table.crc import crc32, crc32_of_array, uses_c_extension; "
        "data = sys.stdin.buffer.read(); tail = data[:300] + bytes(len(data) - 300); "
        "print(uses_c_extension(), crc32(data), crc32_of_array(data), crc32_of_array(tail))"
    )
    out = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True).stdout
    tail = data[:300] + bytes(len(data) - 300)
    assert out.decode().split() == ["False", *(str(zlib.crc32(one)) for one in (data, data, tail))]


def test_whether_the_c_extension_is_in_use_is_told() -> None:
    assert uses_c_extension() == (find_spec("crcmod._crcfunext") is not None)
