"""Draws a disk: its partitions to scale, and a table of them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gptlib.disk import Disk
from gptlib.printable import printable
from gptlib.table.attributes import GROW, LEGACY_BOOT, NO_AUTO, READ_ONLY, REQUIRED, short_form
from gptlib.table.types import is_slot_type, type_name
from image_builder.definition.size import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gptlib.table.attributes import Attributes
    from gptlib.table.table import Table

_FLAGS = {
    "required": REQUIRED,
    "legacy-boot": LEGACY_BOOT,
    "grow": GROW,
    "read-only": READ_ONLY,
    "no-auto": NO_AUTO,
}
_HEADINGS = ("PART", "LABEL", "TYPE", "START", "SIZE", "P/T/S", "FLAGS", "UUID")
_FREE = "free"


@dataclass(frozen=True)
class ShownPartition:
    """A partition as it is reported. ``start`` and ``size`` are bytes; the slot bits are None where it is not a slot."""

    number: int
    label: str
    type: str
    uuid: str
    start: int
    size: int
    priority: int | None
    tries: int | None
    successful: int | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class ShownDisk:
    """A disk as it is reported; ``partitions`` in the order of their places. ``problems`` are what is wrong with its table."""

    path: str
    size: int
    sector_size: int
    uuid: str
    partitions: tuple[ShownPartition, ...]
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """For ``json.dumps``."""
        return asdict(self)


def examine(path: Path) -> ShownDisk:
    """Read a disk or image. Raises gptlib's errors."""
    with Disk.open(path) as disk:
        state = disk.read()
        table = disk.table()
    numbers = sorted(table.partitions, key=lambda number: table.partitions[number].first_lba)
    return ShownDisk(
        path=str(path),
        size=table.total_sectors * table.sector_size,
        sector_size=table.sector_size,
        uuid=str(table.disk_guid),
        partitions=tuple(_shown(table, number) for number in numbers),
        problems=tuple(str(finding) for finding in state.findings),
    )


def _shown(table: Table, number: int) -> ShownPartition:
    partition, sector = table.partition(number), table.sector_size
    bits = partition.attributes
    slot = is_slot_type(partition.type_guid)
    return ShownPartition(
        number=number,
        label=partition.label,
        type=type_name(partition.type_guid),
        uuid=str(partition.unique_guid),
        start=partition.first_lba * sector,
        size=partition.sectors * sector,
        priority=bits.priority if slot else None,
        tries=bits.tries if slot else None,
        successful=int(bits.successful) if slot else None,
        flags=_flags(bits),
    )


def _flags(bits: Attributes) -> tuple[str, ...]:
    return tuple(name for name, bit in _FLAGS.items() if bits & bit)


def draw(disk: ShownDisk, width: int) -> str:
    """The disk as text, ``width`` columns wide: its name, a bar, a table, and what is wrong."""
    head = f"{printable(disk.path)}: {format_size(disk.size)}, sectors of {disk.sector_size} bytes, disk {disk.uuid}"
    problems = [f"! {printable(problem)}" for problem in disk.problems]
    return "\n".join([head, "", *_bar(disk, width), "", *_table(disk), *problems])


def without_boxes(text: str) -> str:
    """The drawing in ASCII, for terminals that have no other characters."""
    return text.translate({**dict.fromkeys(map(ord, "┌┬┐└┴┘"), "+"), ord("─"): "-", ord("│"): "|"})


def _bar(disk: ShownDisk, width: int) -> list[str]:
    """Boxes whose widths grow with the logarithm of the sizes: to scale a 2 MiB partition beside 1 GiB would vanish."""
    boxes = [(_caption(partition), partition.size) for partition in disk.partitions]
    if not boxes:
        return ["(no partitions)"]
    end = max(partition.start + partition.size for partition in disk.partitions)
    if disk.size - end > disk.size // 20:
        boxes.append(((_FREE, "", format_size(disk.size - end)), disk.size - end))
    widths = _widths(boxes, width - len(boxes) - 1)
    rows = ["┌" + "┬".join("─" * room for room in widths) + "┐"]
    for row in range(3):
        cells = (caption[row][:room].center(room) for (caption, _), room in zip(boxes, widths, strict=True))
        rows.append("│" + "│".join(cells) + "│")
    rows.append("└" + "┴".join("─" * room for room in widths) + "┘")
    return rows


def _caption(partition: ShownPartition) -> tuple[str, str, str]:
    return f"{partition.number} {printable(partition.label)}", _pts(partition), format_size(partition.size)


def _widths(boxes: Sequence[tuple[tuple[str, str, str], int]], room: int) -> list[int]:
    """Each box is as wide as its caption at least; what is left of ``room`` is shared out."""
    least = [max(len(line) for line in caption) for caption, _ in boxes]
    weights = [math.log2(2 + size / (1 << 20)) for _, size in boxes]
    spare = max(0, room - sum(least))
    return [width + int(spare * weight / sum(weights)) for width, weight in zip(least, weights, strict=True)]


def _pts(partition: ShownPartition) -> str:
    if partition.priority is None:
        return ""
    return short_form(partition.priority, partition.tries or 0, partition.successful or 0)


def _table(disk: ShownDisk) -> list[str]:
    rows = [_HEADINGS] + [
        (
            str(partition.number),
            printable(partition.label),
            partition.type,
            str(partition.start // disk.sector_size),
            str(partition.size // disk.sector_size),
            _pts(partition),
            ",".join(partition.flags),
            partition.uuid,
        )
        for partition in disk.partitions
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
