"""What a write touches, what it leaves alone, and what it repairs."""

from __future__ import annotations

import fcntl
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gptlib import (
    Attributes,
    CorruptGptError,
    Disk,
    Guid,
    Partition,
    Table,
    TableError,
    TruncatedDiskError,
    type_guid,
)
from gptlib.write.legacy import set_legacy
from tests.gptlib.crash.explorer import crash_states
from tests.gptlib.crash.recording import recorded
from tests.gptlib.handmade import Entry, Gpt, zeroed
from tests.gptlib.read.test_state import GEOMETRIES
from tests.gptlib.readers import PEERS, gptlib, tool
from tests.gptlib.writing import END, GPT, change, protective, repair, sectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_an_attribute_costs_four_sectors_in_three_flushes(path: Path) -> None:
    before = path.read_bytes()
    epochs = change(path)
    assert sectors(epochs) == [[(2015, 1), (END, 1)], [(1, 1)], [(2, 1)]]
    after = path.read_bytes()
    different = {at // 512 for at in range(len(before)) if before[at] != after[at]}
    assert different == {1, 2, 2015, END}


def test_nothing_is_written_when_nothing_changes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("written")

    monkeypatch.setattr(os, "pwrite", refuse)
    monkeypatch.setattr(os, "fsync", refuse)
    with Disk.open(path, write=True) as disk:
        assert disk.write(disk.table()) == []
        assert disk.repair() == []
    assert change(path, tries=0) == []


@pytest.mark.parametrize("name", GEOMETRIES)
def test_reserved_bytes_and_foreign_bits_survive_every_write(ram: Path, name: str) -> None:
    gpt = GEOMETRIES[name]
    if not gpt.entries:
        return
    number, entry = next(iter(gpt.entries.items()))
    foreign = 0xFE00FFFFFFFFFFFF
    gpt = replace(
        gpt, entries={number: Entry(entry.first, entry.last, entry.name, foreign, tail=entry.tail, guid=entry.guid)}
    )
    path = ram / "disk.img"
    path.write_bytes(gpt.image())
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        bits = table.partition(number).attributes
        disk.write(table.with_attributes(number, bits.with_slot(priority=3, tries=2, successful=True)))
    wanted = Entry(entry.first, entry.last, entry.name, foreign | 0x0123 << 48, guid=entry.guid, tail=entry.tail)
    assert path.read_bytes() == replace(gpt, entries={number: wanted}).image()


def test_a_write_repairs_what_was_damaged(path: Path) -> None:
    for lost in ((1,), (2,), (1, 2), (2015,), (END,), (2015, END), (2, END), (1, 2015)):
        image = GPT.image()
        for sector in lost:
            image = zeroed(image, sector)
        path.write_bytes(image)
        change(path)
        with Disk.open(path) as disk:
            state = disk.read()
        assert state.findings == (), lost
        assert state.table is not None
        assert state.table.partitions[3].attributes.tries == 5


def test_repair_makes_the_bytes_that_were_lost(path: Path) -> None:
    image = GPT.image()
    for lost in ((1,), (2,), (1, 2), (2015,), (END,), (2015, END), (2, END), (1, 2015)):
        damaged = image
        for sector in lost:
            damaged = zeroed(damaged, sector)
        path.write_bytes(damaged)
        with Disk.open(path, write=True) as disk:
            disk.repair()
        assert path.read_bytes() == image, lost


def test_repair_brings_a_differing_backup_into_line(path: Path) -> None:
    image = GPT.image()
    old = replace(GPT, entries={3: Entry(100, 199, "OLD")}).image()
    path.write_bytes(image[: 2015 * 512] + old[2015 * 512 :])
    with Disk.open(path, write=True) as disk:
        disk.repair()
    assert path.read_bytes() == image


@pytest.mark.parametrize("grown", [1, 33, 34, 1000])
def test_repair_relocates_the_backup_of_a_grown_disk(path: Path, grown: int) -> None:
    path.write_bytes(replace(GPT, mbr_records=protective(2048)).image() + bytes(512 * grown))
    with Disk.open(path, write=True) as disk:
        disk.repair()
        state = disk.read()
    assert state.findings == ()
    assert state.table is not None
    assert state.table.last_usable_lba == 2014 + grown
    assert "No problems found" in tool("sgdisk", "--verify", path)
    assert path.read_bytes()[446:510] == protective(2048 + grown)


def test_a_change_of_a_grown_disk_moves_the_backup_to_where_everybody_looks(path: Path) -> None:
    path.write_bytes(GPT.image() + bytes(512 * 100))
    change(path)
    views = {name: read(path) for name, read in PEERS.items()}
    assert all(view and view[0].attributes == 0x0151 << 48 for view in views.values()), views
    with Disk.open(path) as disk:
        assert disk.read().findings == ()


@pytest.mark.parametrize("act", [repair, change], ids=["repair", "change"])
def test_a_disk_that_was_cut_off_behind_its_partitions_is_repaired(path: Path, act: Callable[[Path], object]) -> None:
    path.write_bytes(zeroed(GPT.image()[: 300 * 512], -33, 33))
    act(path)
    with Disk.open(path) as disk:
        table = disk.table()
    assert (table.last_usable_lba, table.backup_lba) == (266, 299)
    assert "No problems found" in tool("sgdisk", "--verify", path)


def test_a_disk_that_was_cut_off_inside_a_partition_is_refused(path: Path) -> None:
    image = GPT.image()[: 150 * 512]
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        with pytest.raises(
            TruncatedDiskError, match="ends after 150 sectors but its table needs 2048: it was truncated"
        ):
            disk.repair()
        with pytest.raises(TruncatedDiskError):
            disk.write(disk.table().with_attributes(3, Attributes(1)))
    assert path.read_bytes() == image


def test_two_dead_copies_are_refused_and_nothing_is_written(path: Path) -> None:
    image = zeroed(zeroed(GPT.image(), 2), 2015)
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        for call in (disk.repair, disk.table):
            with pytest.raises(CorruptGptError):
                call()
    assert path.read_bytes() == image


@pytest.mark.parametrize("side", ["primary", "backup"])
def test_a_copy_marked_ignoreme_is_never_written(path: Path, side: str) -> None:
    image = GPT.image()
    at = 512 if side == "primary" else END * 512
    image[at : at + 8] = b"IGNOREME"
    path.write_bytes(image)
    change(path)
    with Disk.open(path, write=True) as disk:
        disk.repair()
        assert disk.table().partitions[3].attributes.tries == 5
    after = path.read_bytes()
    area = slice(512, 34 * 512) if side == "primary" else slice(2015 * 512, None)
    assert after[area] == image[area]


def test_creation_keeps_boot_code_and_everything_that_is_not_the_gpt(path: Path) -> None:
    image = replace(GPT, boot_code=b"boot code").image()
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        disk.create(Table.new(total_sectors=2048))
        assert disk.table().partitions == {}
    after = path.read_bytes()
    assert after[:446] == image[:446]
    assert after[34 * 512 : 2015 * 512] == image[34 * 512 : 2015 * 512]
    assert "No problems found" in tool("sgdisk", "--verify", path)


@pytest.mark.parametrize(("old", "new"), [(512, 4096), (4096, 512)])
@pytest.mark.parametrize("count", [128, 4])
def test_a_table_for_another_sector_size_leaves_no_header_of_the_old_one(
    ram: Path, old: int, new: int, count: int
) -> None:
    path, size = ram / "disk.img", 1 << 22
    path.write_bytes(Gpt(sectors=size // old, sector_size=old, entries={1: Entry(500, 600)}).image())
    with Disk.open(path, write=True) as disk:
        disk.create(Table.new(total_sectors=size // new, sector_size=new, entry_count=count))
        assert disk.read().findings == ()
    after = path.read_bytes()
    assert [at for at in range(0, size, 512) if after[at : at + 8] == b"EFI PART"] == [new, size - new]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [(512, 4096), (4096, 512)])
def test_a_power_cut_while_the_sector_size_changes_leaves_one_of_the_tables(ram: Path, old: int, new: int) -> None:

    path, size = ram / "disk.img", 1 << 20
    path.write_bytes(Gpt(sectors=size // old, sector_size=old, entries={1: Entry(50, 60, "OLD")}).image())
    before = path.read_bytes()
    table = Table.new(total_sectors=size // new, sector_size=new)
    table = table.add(Partition(type_guid("efi"), Guid.random(), 40, 41, Attributes(0), "NEW"))
    with recorded() as recording, Disk.open(path, write=True) as disk:
        disk.create(table)
    labels = set()
    for image in crash_states(before, recording.finish(), exhaustive=True):
        path.write_bytes(image)
        view = gptlib(path)
        assert view is not None
        labels.add(view[0].label)
    assert labels == {"OLD", "NEW"}


def test_what_looks_like_a_header_inside_a_partition_is_data(ram: Path) -> None:
    """A nested image: byte 4096 is the start of a partition that holds a GPT for 4096-byte sectors."""
    path = ram / "disk.img"
    path.write_bytes(bytes(1 << 20))
    nested = Gpt(sectors=60, sector_size=4096).image()[4096:8192]
    table = Table.new(total_sectors=2048, entry_count=4)
    table = table.add(Partition(type_guid("efi"), Guid.random(), 8, 100))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(nested)
    with Disk.open(path, write=True) as disk:
        disk.create(table)
    assert path.read_bytes()[4096:8192] == nested


@pytest.mark.parametrize(
    "change",
    [
        {"first_usable_lba": 2016},
        {"revision": 0},
        {"header_size": 91},
        {"header_size": 513},
    ],
    ids=str,
)
def test_a_table_that_no_reader_would_take_is_refused(path: Path, change: dict[str, Any]) -> None:
    """As a dump may hold one that somebody has edited."""
    before = path.read_bytes()
    with Disk.open(path, write=True) as disk:
        table = disk.table()._replace(**change)
        for call in (disk.write, disk.create):
            with pytest.raises(TableError, match="no reader takes"):
                call(table)
    assert path.read_bytes() == before


def test_a_table_in_legacy_mode_is_replaced_but_not_changed(path: Path) -> None:
    with Disk.open(path, write=True) as disk:
        set_legacy(disk, "legacy")
        legacy = path.read_bytes()
        calls: tuple[Callable[[], object], ...] = (disk.repair, lambda: disk.write(disk.table()))
        for call in calls:
            with pytest.raises(TableError, match="legacy mode; leave it first"):
                call()
        assert path.read_bytes() == legacy
        disk.create(Table.new(total_sectors=2048))
        assert disk.read().findings == ()
        assert not disk.table().partitions


def test_leaving_legacy_mode_writes_nothing_where_it_was_never_entered(path: Path) -> None:
    with Disk.open(path, write=True) as disk:
        assert set_legacy(disk, "efi-part") == []
        assert [len(epoch) for epoch in set_legacy(disk, "legacy")] == [1, 1, 1]
        assert set_legacy(disk, "legacy") == []


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"primary_entries_lba": 2}, False),
        ({"primary_entries_lba": 3}, True),
        ({"primary_entries_lba": 1}, True),
        ({"backup_entries_lba": 2015}, False),
        ({"backup_entries_lba": 2014}, True),
        ({"backup_entries_lba": 2016}, True),
    ],
    ids=str,
)
def test_arrays_must_fit_between_headers_and_partitions(path: Path, change: dict[str, Any], refused: bool) -> None:
    before = path.read_bytes()
    with Disk.open(path, write=True) as disk:
        table = disk.table()._replace(**change)
        if refused:
            with pytest.raises(TableError, match="do not fit"):
                disk.write(table)
        else:
            assert disk.write(table) == []
    assert path.read_bytes() == before


def test_the_lock_is_held_from_reading_to_writing(path: Path) -> None:
    with Disk.open(path, write=True) as disk, path.open("rb") as other:
        table = disk.table()
        for _ in range(2):
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            disk.write(table.with_attributes(3, Attributes(1 << 48)))
