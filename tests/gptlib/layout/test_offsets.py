"""Where a field of a GPT stands is said by the declarations alone: no module has a number of an offset of its own."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gptlib

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(gptlib.__path__[0])
OTHER_FORMATS = {
    "layout": "the declarations, and what is generated from them",
    "linux": "what the kernel's own calls take and give",
    "table/guid.py": "the form of a GUID's text (RFC 4122)",
    "read/md.py": "the superblocks of md arrays",
    "read/signatures.py": "what other formats keep at the end of a disk",
}
"""Folders and modules whose numbers are not those of a GPT's fields."""
SMALL = 3
"""Up to here a bound of a slice is one of words and texts (``argv[1:]``, ``digits[2:]``); no field but the first ends there."""
SIZES = {72, 92, 424, 440, 444, 446, 510}
"""Sizes and places of UEFI 2.10 tables 5.1, 5.5 and 5.6 that nothing else has: not to be typed for whatever purpose."""
SHOWN = {"_SHOWN", "_ROW"}
"""Constants that say how much of something is shown."""
AT_AN_OFFSET = {"unpack_from", "pack_into"}


def numbers(node: ast.AST, constants: dict[str, int]) -> Iterator[int]:
    """Every number in an expression, also by the name of a constant of the module."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, int) and not isinstance(one.value, bool):
            yield one.value
        if isinstance(one, ast.Name) and one.id in constants and one.id not in SHOWN:
            yield constants[one.id]


def constants_of(tree: ast.Module) -> dict[str, int]:
    """The names that the module gives to plain numbers, one by one or several at once."""
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            names = target.elts if isinstance(target, ast.Tuple) and several else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) and several else [node.value]
            for name, value in zip(names, values, strict=True):
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and type(value.value) is int:
                    found[name.id] = value.value
    return found


def typed_offsets(source: str) -> list[str]:
    """The expressions of a module in which an offset is typed."""
    tree = ast.parse(source)
    constants = constants_of(tree)
    found = []
    for node in ast.walk(tree):
        bounds: list[ast.AST] = []
        if isinstance(node, ast.Slice):
            bounds = [bound for bound in (node.lower, node.upper) if bound is not None]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            bounds = [*node.args] if name == "slice" else [*node.args[-1:]] if name in AT_AN_OFFSET else []
        typed = [number for bound in bounds for number in numbers(bound, constants) if number > SMALL]
        alone = isinstance(node, ast.Constant) and type(node.value) is int and node.value in SIZES
        if typed or alone:
            found.append(f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)}")
    return found


MODULES = [
    path
    for path in sorted(FOLDER.rglob("*.py"))
    if not {str(path.relative_to(FOLDER)), path.relative_to(FOLDER).parts[0]} & set(OTHER_FORMATS)
]


def test_no_module_types_the_offset_of_a_field() -> None:
    assert len(MODULES) > 40
    found = {str(path.relative_to(FOLDER)): typed_offsets(path.read_text()) for path in MODULES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_modules_that_are_excepted_exist() -> None:
    assert all((FOLDER / name).exists() for name in OTHER_FORMATS)


@pytest.mark.parametrize(
    "source",
    [
        "crc = sector[16:20]",
        "uuid = entries[at + 16 : at + 32]",
        "tail = sector[92:]",
        "guid = slice(424, 440)",
        "CRC_AT, CRC_END = 16, 20\nhead = sector[:CRC_AT]",
        "AT = 48\nbits = entry[AT : AT + 8]",
        "lba = unpack_from('<Q', sector, 72)",
        "BOOT_CODE = 440",
        "types = records[4::16]",
    ],
)
def test_an_offset_that_is_typed_is_found(source: str) -> None:
    assert typed_offsets(source)


@pytest.mark.parametrize(
    "source",
    ["words = argv[1:]", "crc = sector[HeaderBytes.header_crc32]", "rest = sector[HEADER_SIZE:]", "count = 128"],
)
def test_what_is_none_is_not_found(source: str) -> None:
    assert not typed_offsets(source)
