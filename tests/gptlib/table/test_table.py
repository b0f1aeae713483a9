"""The table as a value: what sgdisk would say of the same changes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gptlib import Attributes, Disk, Guid, InvalidValueError, Partition, Table, TableError, type_guid
from tests.gptlib.readers import sgdisk, tool, view_of
from tests.gptlib.tables import SECTORS, blank, examples, partition_sets, table_of

if TYPE_CHECKING:
    from pathlib import Path

USR = type_guid("coreos-usr")


def partition(first: int, last: int, label: str = "", guid: Guid | None = None) -> Partition:
    return Partition(USR, guid or Guid.random(), first, last, Attributes(0), label)


def small() -> Table:
    """Partitions 1, 2 and 5 on a disk of 2048 sectors, out of order."""
    table = Table.new(total_sectors=2048)
    table = table.add(partition(500, 599, "B"), 1)
    return table.add(partition(100, 199, "A"), 2).add(partition(1000, 2014, "C"), 5)


@pytest.mark.parametrize(
    ("sectors", "sector_size", "options", "expected"),
    [
        # first usable, last usable, primary entries, backup entries, backup header: UEFI 2.10 figure 5.4
        (2048, 512, {}, (34, 2014, 2, 2015, 2047)),
        (1024, 4096, {}, (6, 1018, 2, 1019, 1023)),
        (2048, 512, {"padding": 30}, (64, 2014, 32, 2015, 2047)),
        (2048, 512, {"entry_count": 4}, (3, 2045, 2, 2046, 2047)),
        (2048, 512, {"entry_count": 5}, (4, 2044, 2, 2045, 2047)),
        (2048, 512, {"entry_size": 256}, (66, 1982, 2, 1983, 2047)),
    ],
)
def test_a_new_table_fills_its_disk(
    sectors: int, sector_size: int, options: dict[str, int], expected: tuple[int, ...]
) -> None:
    table = Table.new(
        total_sectors=sectors,
        sector_size=sector_size,
        entry_count=options.get("entry_count", 128),
        entry_size=options.get("entry_size", 128),
        padding=options.get("padding", 0),
    )
    places = (table.primary_entries_lba, table.backup_entries_lba, table.backup_lba)
    assert (table.first_usable_lba, table.last_usable_lba, *places) == expected


def test_the_smallest_disk_has_one_usable_sector() -> None:
    table = Table.new(total_sectors=69)
    assert (table.first_usable_lba, table.last_usable_lba) == (34, 35)
    assert Table.new(total_sectors=68).last_usable_lba == 34
    with pytest.raises(TableError, match="a disk of 67 sectors is too small for a GPT; it needs 68"):
        Table.new(total_sectors=67)


@pytest.mark.parametrize("options", [{"sector_size": 100}, {"sector_size": 768}, {"sector_size": 256}])
def test_an_impossible_sector_size_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(InvalidValueError, match="sector size"):
        Table.new(total_sectors=2048, sector_size=options["sector_size"])


@pytest.mark.parametrize(("count", "size"), [(128, 100), (128, 192), (0, 128), (1 << 30, 128), (128, 64)])
def test_impossible_entries_are_refused(count: int, size: int) -> None:
    with pytest.raises(InvalidValueError, match=r"are not allowed; sizes are 128 \* 2\^n"):
        Table.new(total_sectors=2048, entry_count=count, entry_size=size)


def test_the_first_free_entry_is_used() -> None:
    assert list(small().add(partition(600, 610)).partitions) == [1, 2, 3, 5]


def test_a_full_table_is_refused() -> None:
    table = Table.new(total_sectors=2048, entry_count=2).add(partition(100, 100)).add(partition(101, 101))
    with pytest.raises(TableError, match="all 2 entries are used"):
        table.add(partition(102, 102))


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (33, 40, "would cover sectors 33 to 40; usable are 34 to 2014"),
        (2010, 2015, "usable are 34 to 2014"),
        (150, 150, r"would overlap partition 2 \(sectors 100 to 199\)"),
        (90, 100, "would overlap partition 2"),
        (199, 210, "would overlap partition 2"),
        (90, 210, "would overlap partition 2"),
    ],
)
def test_a_partition_in_an_illegal_place_is_refused(first: int, last: int, message: str) -> None:
    with pytest.raises(TableError, match=message):
        small().add(partition(first, last), 3)


def test_a_second_partition_of_the_same_guid_is_refused() -> None:
    table = small()
    with pytest.raises(TableError, match=r"partition 1 has the GUID .* already"):
        table.add(partition(600, 610, guid=table.partitions[1].unique_guid))


def test_entries_that_are_not_there_are_refused() -> None:
    table = small()
    with pytest.raises(TableError, match=r"there is no partition 3; used: \[1, 2, 5\]"):
        table.partition(3)
    for call in (table.remove, lambda n: table.resize(n, 5), lambda n: table.with_attributes(n, Attributes(0))):
        with pytest.raises(TableError, match="there is no partition 3"):
            call(3)
    for number in (0, 129, -1, 1000):
        with pytest.raises(TableError, match="there is no"):
            table.partition(number)
        with pytest.raises(TableError, match=f"there is no entry {number}; this table has entries 1 to 128"):
            table.add(partition(600, 610), number)
    with pytest.raises(TableError, match=r"partition 1 exists already \('B'\)"):
        table.add(partition(600, 610), 1)


def test_changes_give_new_tables_and_leave_the_old_one_as_it_was() -> None:
    table = small()
    before = bytes(table.entries)
    changed = table.remove(5).resize(1, 10).with_attributes(2, Attributes(1 << 48))
    assert bytes(table.entries) == before
    assert changed.partitions[1].last_lba == 509
    assert changed.partition(2).attributes.priority == 1
    assert 5 not in changed.partitions
    assert changed != table


def test_a_partition_may_be_changed_in_its_own_place() -> None:
    table = small()
    moved = table.change(1, table.partition(1)._replace(first_lba=550, last_lba=700))
    assert moved.partitions[1].first_lba == 550
    with pytest.raises(TableError, match="would overlap partition 5"):
        table.resize(1, 600)


def test_entries_of_another_size_are_another_table() -> None:
    guid = Guid.random()
    one, other = (
        Table.new(total_sectors=2048, disk_guid=guid, entry_count=count, entry_size=size)
        for count, size in ((256, 128), (128, 256))
    )
    assert bytes(one.entries) == bytes(other.entries)
    assert one != other
    assert one == Table.new(total_sectors=2048, disk_guid=guid, entry_count=256)
    assert hash(one.entries) == hash(bytes(one.entries))


def test_an_alignment_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="the alignment cannot be 0"):
        small().free_space(0)


def test_partitions_are_found_by_everything_that_is_asked_for() -> None:
    table = small()
    assert table.find(type_guid=USR) == [1, 2, 5]
    assert table.find(type_guid=USR, label="A") == [2]
    assert table.find(unique_guid=table.partition(5).unique_guid) == [5]
    assert table.find(label="A", unique_guid=table.partition(5).unique_guid) == []
    assert table.find(type_guid=type_guid("efi")) == []


def test_free_space_is_what_partitions_leave() -> None:
    table = small()
    assert table.free_space() == [(34, 99), (200, 499), (600, 999)]
    assert table.free_space(alignment=256) == [(256, 499), (768, 999)]
    assert Table.new(total_sectors=2048).free_space() == [(34, 2014)]


@examples(15)
@given(partitions=partition_sets())
def test_sgdisk_finds_the_same_free_space(ram: Path, partitions: dict[int, Partition]) -> None:
    path = blank(ram / "disk.img")
    table = table_of(partitions)
    with Disk.open(path, write=True) as disk:
        disk.create(table)
    # Where the last usable sector is a partition of its own, sgdisk counts one sector too many.
    assume(all(partition.first_lba < table.last_usable_lba for partition in partitions.values()))
    told = re.search(r"Total free space is (\d+) sectors", tool("sgdisk", "-a", 1, "-p", path))
    assert told is not None
    assert sum(last - first + 1 for first, last in table.free_space()) == int(told[1])


@pytest.mark.slow
@examples(2)
@given(batch=st.lists(partition_sets(max_partitions=5), min_size=6, max_size=6))
def test_renumbering_is_the_sorting_of_sgdisk(ram: Path, batch: list[dict[int, Partition]]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    paths = [blank(ram / f"{number}.img") for number in range(len(batch))]
    for path, partitions in zip(paths, batch, strict=True):
        with Disk.open(path, write=True) as disk:
            disk.create(table_of(partitions))
    with ThreadPoolExecutor(len(batch)) as pool:
        list(pool.map(lambda path: tool("sgdisk", "--sort", path), paths))
    for path, partitions in zip(paths, batch, strict=True):
        assert sgdisk(path) == view_of(table_of(partitions).renumber())


def test_renumbering_keeps_what_large_entries_hold_after_their_fields() -> None:
    table = Table.new(total_sectors=2048, entry_size=256).add(partition(500, 510), 2).add(partition(100, 110), 7)
    data = bytearray(table.entries)
    data[6 * 256 + 200] = 0xAB
    table = table._replace(entries=type(table.entries)(bytes(data), 256)).renumber()
    assert [p.first_lba for p in table.partitions.values()] == [100, 500]
    assert table.entries[200] == 0xAB


def test_relocation_moves_the_backup_and_the_usable_end() -> None:
    table = small().relocate(4096)
    assert (table.last_usable_lba, table.backup_entries_lba, table.backup_lba) == (4062, 4063, 4095)
    assert table.relocate(2048) == small()._replace(disk_guid=table.disk_guid, entries=table.entries)
    with pytest.raises(TableError, match=r"partitions \[5\] end after sector 1966"):
        table.relocate(2000)
    with pytest.raises(TableError, match="too small"):
        Table.new(total_sectors=2048).relocate(60)


@examples(30)
@given(partitions=partition_sets(), total=st.integers(70, 3 * SECTORS))
def test_a_relocated_table_is_one_that_could_have_been_made_there(partitions: dict[int, Partition], total: int) -> None:
    table = table_of(partitions)
    try:
        moved = table.relocate(total)
    except TableError:
        assert max((p.last_lba for p in partitions.values()), default=0) > total - 34
        return
    assert moved == table_of(partitions, sectors=total)._replace(disk_guid=table.disk_guid)


@given(partition_sets(max_partitions=5), st.integers(0, (1 << 64) - 1))
def test_attributes_that_are_changed_in_a_decoded_table_are_those_of_its_bytes(
    partitions: dict[int, Partition], bits: int
) -> None:
    assume(partitions)
    table = table_of(partitions)
    assert dict(table.partitions) == partitions
    number = min(partitions)
    changed = table.with_attributes(number, Attributes(bits))
    afresh = type(changed.entries)(bytes(changed.entries), changed.entries.entry_size)
    assert dict(changed.partitions) == dict(afresh.partitions)
    assert dict(table.partitions) == partitions
