"""A good definition, and what is told about mistakes in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from image_builder.definition.load import load_definition
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
[image]
name = "test"
[boot]
kind = "uki"
[slot.base]
kind = "tiny"
[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "64M"
content = "esp"
[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "48M"
content = "slot.base"
priority = 1
successful = true
[[partition]]
label = "USR-B"
type = "coreos-usr"
size = "48M"
"""


def refused(path: Path, text: str) -> list[str]:
    """The mistakes that are told, a line for each, without the path of the file."""
    path.write_text(text)
    with pytest.raises(DefinitionError) as raised:
        load_definition(path)
    lines = str(raised.value).split("\n")
    assert len(lines) == len(raised.value.mistakes)
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def refusal(tmp_path: Path, text: str) -> str:
    """The one mistake that is told, without the path of the file, and without the line, which is that of its key."""
    (line,) = refused(tmp_path / "test.toml", text)
    number, _, message = line.partition(": ")
    if not number.isdecimal():  # of the file itself
        return line.removeprefix(" ")
    assert int(number) == line_of(message.partition(": ")[0], text)
    return message


def line_of(key: str, text: str) -> int:
    """The line of a key in a text with a statement on each line; where it is missing, that of the heading of its table."""
    found: dict[str, int] = {}
    table, partitions = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.fullmatch(r"\[+(.*?)\]+", line)
        if heading:
            partitions += line == "[[partition]]"
            table = f"partition[{partitions}]" if line == "[[partition]]" else heading[1]
            found.setdefault(table, number)
        elif line:
            found[f"{table}.{line.partition(' = ')[0]}".replace('"', "")] = number
    if key not in found and (below := [name for name in found if name.startswith(f"{key}.")]):
        return found[below[0]]
    return found[max((name for name in found if f"{key}.".startswith(f"{name}.")), key=len)]
