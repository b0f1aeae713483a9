"""The slots of a disk, for the report: read by gptlib, whatever the disk holds, and never an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gptlib import Disk, GptError
from gptlib.table.attributes import SLOT_BITS
from gptlib.table.types import is_slot_type
from qemu_tests.report.model import Slot, Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gptlib import Partition

_ATTRIBUTES = re.compile(r"(\d+)/(\d+)/([01])")


def read_table(path: Path) -> Table:
    """The slots of a raw image: partitions of a slot type, and others that have slot bits. What is wrong is in ``problems``."""
    try:
        with Disk.open(path) as disk:
            state = disk.examine()
    except GptError as error:
        return Table(readers=("gptlib",), problems=(str(error),))
    problems = tuple(f"gptlib: {finding}" for finding in state.findings if finding.severity != "note")
    if state.table is None:
        return Table(readers=("gptlib",), problems=problems or ("gptlib: no partition table",))
    slots = [
        _slot(number, partition)
        for number, partition in sorted(state.table.partitions.items())
        if is_slot_type(partition.type_guid) or partition.attributes & SLOT_BITS
    ]
    return Table(tuple(slots), ("gptlib",), problems)


def _slot(number: int, partition: Partition) -> Slot:
    bits = partition.attributes
    return Slot(partition.label or f"partition {number}", bits.priority, bits.tries, bits.successful, number)


def table_of(slots: Mapping[str, str], readers: tuple[str, ...], problems: tuple[str, ...] = ()) -> Table:
    """From label -> ``P/T/S``, as the judges give it. Raises ValueError for what is not of this form."""
    read = []
    for label, text in slots.items():
        if (match := _ATTRIBUTES.fullmatch(text)) is None:
            raise ValueError(f"{label}: {text!r} is not of the form P/T/S")
        priority, tries, successful = map(int, match.groups())
        read.append(Slot(label, priority, tries, bool(successful)))
    return Table(tuple(read), readers, problems)
