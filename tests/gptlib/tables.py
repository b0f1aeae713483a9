"""Hypothesis strategies for tables, and tables made by other tools from the same description."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gptlib import Attributes, Guid, Partition, Table, type_guid
from tests.gptlib.readers import tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hypothesis.strategies import DrawFn

FULL = bool(os.environ.get("SLOTBOOT_FULL"))
"""Whether this is the long run: ten times as many examples, every crash state, 100,000 damaged images."""

SECTORS = 4096
FIRST, LAST = 34, SECTORS - 34
TYPES = ["coreos-usr", "kernel", "rootfs", "efi", "linux-data", "bios", "usr-x86-64", "linux-swap", "reserved"]
MASK_ALL = (1 << 64) - 1
MASK_CGPT = 0xFFFF << 48 | 0b101
MASK_SFDISK = 0xFFFF << 48 | 0b111

# Printable characters that every tool passes through; sfdisk's scripts know no quoting inside a name,
# sgdisk takes a colon at the start for a separator. Of the blanks only the space: ours shows the others escaped (gptlib.printable).
_LETTERS = st.characters(
    min_codepoint=0x20,
    max_codepoint=0xD7FF,
    categories=("L", "N", "P", "S"),
    include_characters=" ",
    exclude_characters="\"\\':",
)
guids = st.binary(min_size=16, max_size=16).filter(any).map(Guid)


def examples(count: int) -> settings:
    """Settings for so many examples in the quick run. Examples of a test share its fixtures; each makes its own images."""
    return settings(
        max_examples=count * 10 if FULL else count,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def labels(max_size: int) -> st.SearchStrategy[str]:
    """Labels that survive every tool: no blanks at the ends, where some of them strip."""
    return st.text(_LETTERS, max_size=max_size).map(str.strip)


@st.composite
def partition_sets(
    draw: DrawFn,
    *,
    attributes: int = MASK_ALL,
    label_size: int = 36,
    max_partitions: int = 6,
    types: Sequence[str] = TYPES,
) -> dict[int, Partition]:
    """Partitions by number, without overlap, for a disk of ``SECTORS`` sectors."""
    count = draw(st.integers(0, max_partitions))
    cuts = sorted(draw(st.sets(st.integers(FIRST, LAST + 1), min_size=2 * count, max_size=2 * count)))
    numbers = draw(st.lists(st.integers(1, 128), min_size=count, max_size=count, unique=True))
    uuids = draw(st.lists(guids, min_size=count, max_size=count, unique=True))
    return {
        number: Partition(
            type_guid(draw(st.sampled_from(types))),
            uuids[place],
            cuts[2 * place],
            cuts[2 * place + 1] - 1,
            Attributes(draw(st.integers(0, MASK_ALL)) & attributes),
            draw(labels(label_size)),
        )
        for place, number in enumerate(numbers)
    }


def table_of(
    partitions: dict[int, Partition], *, sectors: int = SECTORS, sector_size: int = 512, entries: int = 128
) -> Table:
    """Our table of these partitions."""
    table = Table.new(total_sectors=sectors, sector_size=sector_size, entry_count=entries)
    for number, partition in partitions.items():
        table = table.add(partition, number)
    return table


def blank(path: Path, sectors: int = SECTORS) -> Path:
    """An empty image."""
    with path.open("wb") as file:
        file.truncate(sectors * 512)
    return path


def make_with_cgpt(path: Path, partitions: dict[int, Partition], sectors: int = SECTORS) -> None:
    """Make the table by ``cgpt create`` and ``cgpt add``."""
    tool("cgpt", "create", blank(path, sectors))
    tool("cgpt", "boot", "-p", path)
    for number, partition in partitions.items():
        bits = partition.attributes
        words = ["-i", number, "-b", partition.first_lba, "-s", partition.sectors, "-t", partition.type_guid]
        words += ["-u", partition.unique_guid, "-l", partition.label]
        tool("cgpt", "add", *words, "-A", bits >> 48, path)
        tool("cgpt", "add", "-i", number, "-R", int(bits.required), "-B", int(bits.legacy_boot), path)


def make_with_sgdisk(path: Path, partitions: dict[int, Partition], sectors: int = SECTORS) -> None:
    """Make the table in one call of sgdisk."""
    words: list[object] = ["-o", "-a", 1]
    for number, partition in partitions.items():
        words += ["-n", f"{number}:{partition.first_lba}:{partition.last_lba}", "-t", f"{number}:{partition.type_guid}"]
        words += ["-u", f"{number}:{partition.unique_guid}", "-c", f"{number}:{partition.label}"]
        words += [w for bit in range(64) if partition.attributes >> bit & 1 for w in ("-A", f"{number}:set:{bit}")]
    tool("sgdisk", *words, blank(path, sectors))


def make_with_sfdisk(
    path: Path, partitions: dict[int, Partition], sectors: int = SECTORS, *, entries: int = 128
) -> None:
    """Make the table from a script of sfdisk."""
    lines = ["label: gpt", f"table-length: {entries}", ""]
    for number, partition in partitions.items():
        bits = [str(bit) for bit in range(48, 64) if partition.attributes >> bit & 1]
        names = ["RequiredPartition", "NoBlockIOProtocol", "LegacyBIOSBootable"]
        attrs = [name for bit, name in enumerate(names) if partition.attributes >> bit & 1]
        attrs += [f"GUID:{','.join(bits)}"] if bits else []
        lines.append(
            f"{number} : start={partition.first_lba}, size={partition.sectors}, type={partition.type_guid}, "
            f'uuid={partition.unique_guid}, name="{partition.label}"'
            + (f', attrs="{" ".join(attrs)}"' if attrs else "")
        )
    tool(
        "sfdisk",
        "-q",
        "--wipe=never",
        "--no-tell-kernel",
        "--no-reread",
        blank(path, sectors),
        text="\n".join(lines) + "\n",
    )
