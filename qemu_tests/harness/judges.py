"""Independent readers of a disk: ChromeOS's ``cgpt``, GPT fdisk's ``sgdisk``, util-linux's ``sfdisk``, and gptlib. They must agree.

``cgpt``, ``sgdisk`` and ``sfdisk`` take every file for a disk with sectors of 512 bytes. Of a disk with larger ones the judges are
util-linux's ``fdisk``, which can be told, and gptlib.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptlib import Disk, GptError, type_guid
from gptlib.table.attributes import short_form
from gptlib.table.types import COREOS_USR, type_name
from qemu_tests.errors import DamagedTableError, JudgeError, JudgesDisagreeError, NoSlotsError, ToolFailedError
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from gptlib import Table

SLOT_TYPE = type_guid(COREOS_USR).text
_SECTOR = 512


@dataclass(frozen=True)
class Verdict:
    """What all judges see: label -> ``P/T/S``, and what any of them finds wrong with the tables (empty: nothing)."""

    slots: Mapping[str, str]
    problems: tuple[str, ...]


def read_cgpt(path: Path, slot_type: str = SLOT_TYPE) -> dict[str, str]:
    """The slots as Debian's cgpt reads them. Raises JudgeError."""

    def field(number: str, option: str) -> str:
        return run_tool("cgpt", "show", "-i", number, option, path).strip()

    try:
        slots = {}
        for number in re.findall(r"^ +\d+ +\d+ +(\d+) +Label: ", run_tool("cgpt", "show", path), re.MULTILINE):
            if field(number, "-t").lower() == slot_type:
                slots[field(number, "-l")] = short_form(*(int(field(number, option)) for option in ("-P", "-T", "-S")))
    except ToolFailedError as error:
        raise JudgeError("cgpt", path, error.line) from error
    return slots


def read_sgdisk(path: Path, slot_type: str = SLOT_TYPE) -> dict[str, str]:
    """The slots as sgdisk reads them. Raises JudgeError."""
    try:
        listed = run_tool("sgdisk", "-p", path)
        if "Creating new GPT entries" in listed:
            raise JudgeError("sgdisk", path, "it found none and made up an empty one")
        numbers = re.findall(r"^ +(\d+) +\d+ +\d+ ", listed, re.MULTILINE)
        slots = {}
        for number in numbers:
            shown = run_tool("sgdisk", "-i", number, path)
            fields = dict(re.findall(r"^([A-Z][\w ]+): +(.*)$", shown, re.MULTILINE))
            if fields["Partition GUID code"].split()[0].lower() == slot_type:
                flags = int(fields["Attribute flags"], 16)
                slots[fields["Partition name"].strip("'")] = short_form(
                    flags >> 48 & 15, flags >> 52 & 15, flags >> 56 & 1
                )
    except ToolFailedError as error:
        raise JudgeError("sgdisk", path, error.line) from error
    except KeyError as error:
        raise JudgeError("sgdisk", path, f"its output has no line {error}") from error
    return slots


def read_gptlib(path: Path, slot_type: str = SLOT_TYPE) -> dict[str, str]:
    """The slots as gptlib reads them. Raises JudgeError."""
    table = _table_of(path)
    slots = {}
    for partition in table.partitions.values():
        if partition.type_guid.text == slot_type:
            slots[partition.label] = partition.attributes.short
    return slots


def read_sfdisk(path: Path, slot_type: str = SLOT_TYPE) -> dict[str, str]:
    """The slots as util-linux's sfdisk reads them. Raises JudgeError."""
    try:
        table = json.loads(run_tool("sfdisk", "--json", path))["partitiontable"]
    except ToolFailedError as error:
        raise JudgeError("sfdisk", path, error.line) from error
    if table["label"] != "gpt":
        raise JudgeError("sfdisk", path, f"it found a table of the kind {table['label']}")
    return {
        entry.get("name", ""): _short_of_words(entry.get("attrs", ""))
        for entry in table.get("partitions", ())
        if entry["type"].lower() == slot_type
    }


def read_fdisk(path: Path, slot_type: str = SLOT_TYPE, sector_size: int = 4096) -> dict[str, str]:
    """The slots as util-linux's fdisk reads them, on a disk with sectors of ``sector_size`` bytes. Raises JudgeError."""
    columns = ("--list", "--color=never", "--output=Type-UUID,Attrs,Name")
    try:
        said = run_tool("fdisk", f"--sector-size={sector_size}", *columns, path)
    except ToolFailedError as error:
        raise JudgeError("fdisk", path, error.line) from error
    if "Disklabel type: gpt" not in said:
        raise JudgeError("fdisk", path, f"it found no GUID partition table in sectors of {sector_size} bytes")
    heading = re.search(r"^Type-UUID +Attrs +Name$", said, re.MULTILINE)
    if heading is None:
        return {}
    attributes, name = (heading.group().index(word) for word in ("Attrs", "Name"))
    lines = said[heading.end() + 1 :].splitlines()
    return {
        line[name:].strip(): _short_of_words(line[attributes:name])
        for line in lines
        if line[:attributes].strip().lower() == slot_type
    }


def _short_of_words(text: str) -> str:
    """``P/T/S`` of attributes in libfdisk's words, such as ``RequiredPartition GUID:48,53``."""
    found = re.search(r"GUID:([\d,]+)", text)
    flags = sum(1 << int(bit) for bit in found[1].split(",")) if found else 0
    return short_form(flags >> 48 & 15, flags >> 52 & 15, flags >> 56 & 1)


def find_problems(path: Path) -> tuple[str, ...]:
    """What ``sgdisk --verify``, ``cgpt show`` and gptlib find wrong with the tables, each in its own words."""
    with Disk.open(path) as disk:
        examination = disk.examine()
        own = [f"gptlib: {finding}" for finding in examination.findings if finding.severity != "note"]
    if _sector_size(path) != _SECTOR:
        return tuple(own)
    problems = []
    verified = run_tool("sgdisk", "--verify", path)
    if "No problems found" not in verified:
        found = re.search(r"Identified \d+ problems?", verified)
        problems.append(f"sgdisk: {found.group() if found else verified.strip().splitlines()[-1]}")
    invalid = re.findall(r"INVALID +(.*)", run_tool("cgpt", "show", path))
    problems += [f"cgpt: invalid {what.strip()}" for what in invalid]
    return (*problems, *own)


def agree(path: str | os.PathLike[str], *, slot_type: str = SLOT_TYPE) -> Verdict:
    """Let all judges read ``path``, a raw image. ``slot_type`` is a GUID or a name that gptlib knows, such as ``root-x86-64``.

    Raises JudgesDisagreeError, JudgeError when one cannot read it, NoSlotsError when no partition has the type, and gptlib's
    InvalidValueError for a type that is none.
    """
    disk, wanted = Path(path), type_guid(slot_type).text
    if _sector_size(disk) == _SECTOR:
        judges = {"cgpt": read_cgpt, "sgdisk": read_sgdisk, "sfdisk": read_sfdisk, "gptlib": read_gptlib}
    else:
        judges = {"fdisk": read_fdisk, "gptlib": read_gptlib}
    readings = {name: read(disk, wanted) for name, read in judges.items()}
    first = next(iter(readings.values()))
    if any(reading != first for reading in readings.values()):
        raise JudgesDisagreeError(disk, readings)
    if not first:
        raise NoSlotsError(disk, slot_type, _types_of(disk))
    return Verdict(first, find_problems(disk))


def _table_of(path: Path) -> Table:
    try:
        with Disk.open(path) as disk:
            return disk.table()
    except GptError as error:
        raise JudgeError("gptlib", path, str(error)) from error


def _sector_size(path: Path) -> int:
    return _table_of(path).sector_size


def _types_of(path: Path) -> list[str]:
    found = {partition.type_guid for partition in _table_of(path).partitions.values()}
    return sorted(type_name(guid) or guid.text for guid in found)


def agree_whole(path: str | os.PathLike[str], *, slot_type: str = SLOT_TYPE) -> Verdict:
    """As ``agree``; raises DamagedTableError too when any judge finds a problem."""
    verdict = agree(path, slot_type=slot_type)
    if verdict.problems:
        raise DamagedTableError(Path(path), verdict.problems)
    return verdict
