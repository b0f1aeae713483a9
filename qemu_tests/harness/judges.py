"""Independent readers of a disk: ChromeOS's ``cgpt``, GPT fdisk's ``sgdisk``, and gptlib. They must agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib import Disk, GptError, type_guid
from gptlib.table.attributes import short_form
from gptlib.table.types import COREOS_USR
from qemu_tests.errors import DamagedTableError, JudgeError, JudgesDisagreeError, ToolFailedError
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SLOT_TYPE = type_guid(COREOS_USR).text


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
    try:
        with Disk.open(path) as disk:
            table = disk.table()
    except GptError as error:
        raise JudgeError("gptlib", path, str(error)) from error
    slots = {}
    for partition in table.partitions.values():
        if partition.type_guid.text == slot_type:
            slots[partition.label] = partition.attributes.short
    return slots


def find_problems(path: Path) -> tuple[str, ...]:
    """What ``sgdisk --verify``, ``cgpt show`` and gptlib find wrong with the tables, each in its own words."""
    problems = []
    verified = run_tool("sgdisk", "--verify", path)
    if "No problems found" not in verified:
        found = re.search(r"Identified \d+ problems?", verified)
        problems.append(f"sgdisk: {found.group() if found else verified.strip().splitlines()[-1]}")
    invalid = re.findall(r"INVALID +(.*)", run_tool("cgpt", "show", path))
    problems += [f"cgpt: invalid {what.strip()}" for what in invalid]
    with Disk.open(path) as disk:
        problems += [f"gptlib: {finding}" for finding in disk.examine().findings if finding.severity != "note"]
    return tuple(problems)


def agree(path: Path, *, slot_type: str = SLOT_TYPE) -> Verdict:
    """Let all judges read ``path``, a raw image. Raises JudgesDisagreeError, and JudgeError when one cannot read it."""
    readings = {
        "cgpt": read_cgpt(path, slot_type),
        "sgdisk": read_sgdisk(path, slot_type),
        "gptlib": read_gptlib(path, slot_type),
    }
    first = readings["cgpt"]
    if any(reading != first for reading in readings.values()):
        raise JudgesDisagreeError(path, readings)
    return Verdict(first, find_problems(path))


def agree_whole(path: Path, *, slot_type: str = SLOT_TYPE) -> Verdict:
    """As ``agree``; raises DamagedTableError too when any judge finds a problem."""
    verdict = agree(path, slot_type=slot_type)
    if verdict.problems:
        raise DamagedTableError(path, verdict.problems)
    return verdict
