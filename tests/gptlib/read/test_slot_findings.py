"""Where nothing may be written into a partition: the tables are made by hand, and judged by sgdisk beside us."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk, TableError
from gptlib.read.checks import slot_findings, table_findings
from tests.gptlib.handmade import Entry, Gpt, resigned
from tests.gptlib.readers import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gptlib import Table

DISK = Gpt()
"""2048 sectors; usable are 34 to 2014."""


def table_of(path: Path, entries: Mapping[int, Entry]) -> Table:
    path.write_bytes(replace(DISK, entries=dict(entries)).image())
    with Disk.open(path) as disk:
        return disk.table()


def codes(table: Table, number: int) -> list[str]:
    return [finding.code for finding in slot_findings(table, number)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (34, 2014, []),
        (34, 34, []),
        (2014, 2014, []),
        (33, 99, ["out-of-range"]),
        (2000, 2015, ["out-of-range"]),
        (0, 99, ["out-of-range"]),
        (1, 1, ["out-of-range"]),
        (2047, 2047, ["out-of-range"]),
        (2000, 2048, ["out-of-range", "beyond-end"]),
        (99, 98, ["reversed"]),
    ],
)
def test_the_place_of_a_partition(ram: Path, first: int, last: int, expected: list[str]) -> None:
    entry = Entry(first, last)
    table = table_of(ram / "disk.img", {2: entry, 7: Entry(1000, 1000)} if last < 1000 else {2: entry})
    assert codes(table, 2) == expected
    if last < 1000:
        assert codes(table, 7) == []
    if first <= last:
        # sgdisk counts what covers its own structures, or lies outside the disk, as a problem too.
        assert ("No problems found" in run("sgdisk", "--verify", ram / "disk.img").stdout) == (not expected)


@pytest.mark.parametrize(
    ("other", "overlaps"),
    [
        ((200, 299), False),
        ((400, 500), False),
        ((200, 300), True),
        ((399, 500), True),
        ((320, 330), True),
        ((200, 500), True),
        ((300, 399), True),
    ],
)
@pytest.mark.parametrize("numbers", [(2, 3), (3, 2)])
def test_both_of_two_partitions_that_overlap_are_dangerous(
    ram: Path, other: tuple[int, int], overlaps: bool, numbers: tuple[int, int]
) -> None:
    table = table_of(ram / "disk.img", {numbers[0]: Entry(300, 399), numbers[1]: Entry(*other), 9: Entry(600, 700)})
    assert (codes(table, 2), codes(table, 3)) == ((["overlap"],) * 2 if overlaps else ([], []))
    assert codes(table, 9) == []
    assert ("No problems found" in run("sgdisk", "--verify", ram / "disk.img").stdout) == (not overlaps)


def test_each_of_many_partitions_that_overlap_is_found(ram: Path) -> None:
    """All families of four intervals on a short line: whoever shares a sector with another has a finding, and nobody else."""
    intervals = [(a, b) for a in range(40, 44) for b in range(a, 44)]
    for one in intervals:
        for two in intervals:
            table = table_of(ram / "disk.img", {1: Entry(*one), 2: Entry(*two), 3: Entry(42, 42), 4: Entry(45, 50)})
            places = {1: one, 2: two, 3: (42, 42), 4: (45, 50)}
            for number, (first, last) in places.items():
                shares = any(a <= last and first <= b for n, (a, b) in places.items() if n != number)
                assert bool(codes(table, number)) == shares


def test_a_partition_inside_what_the_primary_calls_usable_may_still_cover_the_backup(ram: Path) -> None:
    """The headers contradict each other: the usable range of the primary holds the backup, which is valid on its own."""
    path = ram / "disk.img"
    wrong = replace(DISK, entries={2: Entry(1900, 2046), 3: Entry(100, 199), 4: Entry(1950, 2047)}).image()
    path.write_bytes(resigned(wrong, 1, "last_usable_lba", 2047))
    with Disk.open(path) as disk:
        table = disk.table()
    assert table.last_usable_lba == 2047
    assert [finding.message for finding in slot_findings(table, 2)] == [
        "partition 2 (sectors 1900 to 2046) covers the backup entries (sectors 2015 to 2046)",
        "partition 4 (sectors 1950 to 2047) overlaps partition 2",
    ]
    assert codes(table, 3) == []
    assert "the backup header (sector 2047)" in slot_findings(table, 4)[0].message


def test_the_structures_are_where_the_table_has_them(ram: Path) -> None:
    """The primary array of this disk stands behind a gap, and so does its first usable sector."""
    path = ram / "disk.img"
    path.write_bytes(replace(DISK, padding=100, entries={2: Entry(140, 199)}).image())
    with Disk.open(path) as disk:
        table = disk.table()
    assert codes(table, 2) == []
    inside = table._replace(first_usable_lba=34, primary_entries_lba=150)
    assert [finding.code for finding in slot_findings(inside, 2)] == ["covers-table"]


def test_twins_are_dangerous(ram: Path) -> None:
    guid = Entry(1, 1).guid
    table = table_of(
        ram / "disk.img",
        {1: Entry(100, 199, guid=guid), 2: Entry(200, 299), 5: Entry(300, 399, guid=guid), 6: Entry(40, 50, guid=guid)},
    )
    assert {number: set(codes(table, number)) for number in (1, 2, 5, 6)} == {
        1: {"duplicate-guid"},
        2: set(),
        5: {"duplicate-guid"},
        6: {"duplicate-guid"},
    }


def test_they_are_findings_of_the_table(ram: Path) -> None:
    table = table_of(ram / "disk.img", {1: Entry(100, 199), 2: Entry(150, 250), 3: Entry(20, 40), 4: Entry(900, 10)})
    assert {finding for number in table.partitions for finding in slot_findings(table, number)} == set(
        table_findings(table)
    )


def test_a_partition_that_is_not_there_is_no_slot(ram: Path) -> None:
    with pytest.raises(TableError, match="there is no partition 8"):
        slot_findings(table_of(ram / "disk.img", {1: Entry(100, 199)}), 8)
