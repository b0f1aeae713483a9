"""Other tools read what we wrote, and we read what they wrote, over generated tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib import Disk
from tests.gptlib import readers, tables
from tests.gptlib.readers import PEERS, expected, tool, view_of
from tests.gptlib.tables import MASK_CGPT, MASK_SFDISK, blank, examples, partition_sets, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib import Partition


@examples(40)
@given(partitions=partition_sets())
def test_every_tool_reads_what_we_write(ram: Path, partitions: dict[int, Partition]) -> None:
    path = blank(ram / "disk.img")
    table = table_of(partitions)
    with Disk.open(path, write=True) as disk:
        disk.create(table)
    for name, read in PEERS.items():
        assert read(path) == expected(tuple(sorted(view_of(table))), name), name
    assert "No problems found" in tool("sgdisk", "--verify", path)
    assert "No errors detected" in tool("sfdisk", "--verify", path)


@examples(40)
@given(partitions=partition_sets(attributes=MASK_CGPT, label_size=35))
def test_we_read_what_cgpt_writes(ram: Path, partitions: dict[int, Partition]) -> None:
    tables.make_with_cgpt(ram / "disk.img", partitions)
    assert_read_as(ram / "disk.img", partitions)


# After each write sgdisk waits for a second and for the disks of the whole machine: many run at once.
@pytest.mark.slow
@examples(2)
@given(batch=st.lists(partition_sets(), min_size=16, max_size=16))
def test_we_read_what_sgdisk_writes(ram: Path, batch: list[dict[int, Partition]]) -> None:
    paths = [ram / f"disk{number}.img" for number in range(len(batch))]
    with ThreadPoolExecutor(len(batch)) as pool:
        list(pool.map(tables.make_with_sgdisk, paths, batch))
    for path, partitions in zip(paths, batch, strict=True):
        assert_read_as(path, partitions)


@examples(40)
@given(partitions=partition_sets(attributes=MASK_SFDISK))
def test_we_read_what_sfdisk_writes(ram: Path, partitions: dict[int, Partition]) -> None:
    tables.make_with_sfdisk(ram / "disk.img", partitions)
    assert_read_as(ram / "disk.img", partitions)


def assert_read_as(path: Path, partitions: dict[int, Partition]) -> None:
    with Disk.open(path) as disk:
        state = disk.read()
    assert state.table is not None
    assert dict(state.table.partitions) == partitions
    assert not [finding for finding in state.findings if finding.severity != "note"]


@examples(40)
@given(partitions=partition_sets(attributes=MASK_SFDISK))
def test_what_another_tool_made_is_ours_byte_for_byte_after_an_empty_write(
    ram: Path, partitions: dict[int, Partition]
) -> None:
    path = ram / "disk.img"
    tables.make_with_sfdisk(path, partitions)
    before = path.read_bytes()
    with Disk.open(path, write=True) as disk:
        assert disk.write(disk.table()) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("entries", [1, 4, 5, 64, 128, 256])
def test_sfdisk_and_we_agree_on_any_number_of_entries(ram: Path, entries: int) -> None:
    path = ram / "disk.img"
    tables.make_with_sfdisk(path, {}, entries=entries)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        assert table.entries.capacity == entries
        assert disk.write(table) == []
    ours = blank(ram / "ours.img")
    with Disk.open(ours, write=True) as disk:
        disk.create(table._replace())
    assert readers.sfdisk(ours) == ()
