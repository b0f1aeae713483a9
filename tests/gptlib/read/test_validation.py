"""What makes a copy valid, at the very edge of each rule: headers changed by hand, with a CRC that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import CorruptGptError, Disk
from tests.gptlib.handmade import Entry, Gpt, resigned, zeroed

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib.read.state import Examination

GPT = Gpt()
END, ARRAY = 2047, 32
FIRST, LAST = 34, 2014
"""Usable sectors."""


def state_of(directory: Path, image: bytearray) -> Examination:
    path = directory / "disk.img"
    path.write_bytes(image)
    with Disk.open(path) as disk:
        return disk.examine()


def codes(state: Examination, where: str) -> list[str]:
    return [finding.code for finding in state.findings if finding.where == where]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("revision", 0x00010001, []),
        ("revision", 0x00000000, ["revision"]),
        ("revision", 0x00020000, ["revision"]),
        ("revision", 0x00030000, ["revision"]),
        ("entry_count", 0, ["entry-count"]),
        ("entry_count", (16 << 20) // 128 + 1, ["entry-count"]),
        ("entries_lba", 1, ["entries-range"]),
        ("entries_lba", FIRST - ARRAY + 1, ["entries-among-partitions", "entries-crc", "occupied"]),
        ("entries_lba", LAST, ["entries-among-partitions", "entries-crc"]),
        ("entries_lba", LAST + 1, []),
        ("entries_lba", END - ARRAY + 1, ["entries-crc"]),
        ("entries_lba", END - ARRAY + 2, ["entries-range"]),
    ],
)
def test_the_primary_is_judged_by_its_own_fields(ram: Path, field: str, value: int, expected: list[str]) -> None:
    state = state_of(ram, resigned(GPT.image(), 1, field, value))
    assert codes(state, "primary") == expected
    assert state.source == ("backup" if expected else "primary")


def test_entries_may_not_cover_their_own_header(ram: Path) -> None:
    state = state_of(ram, resigned(GPT.image(), END, "entries_lba", END - ARRAY + 1))
    assert codes(state, "backup") == ["entries-range"]


def test_a_crc_is_checked_even_where_both_arrays_are_the_same(ram: Path) -> None:
    state = state_of(ram, resigned(GPT.image(), END, "entries_crc32", 1))
    assert codes(state, "backup") == ["entries-crc"]
    state = state_of(ram, resigned(GPT.image(), 1, "entries_crc32", 1))
    assert codes(state, "primary") == ["entries-crc"]


@pytest.mark.parametrize(("field", "value"), [("disk_guid", b"G" * 16), ("alternate_lba", 2)])
def test_two_valid_copies_that_differ_are_told_and_made_one(ram: Path, field: str, value: int | bytes) -> None:
    state = state_of(ram, resigned(GPT.image(), END, field, value))
    assert codes(state, "disk") == ["copies-differ"]
    with Disk.open(ram / "disk.img", write=True) as disk:
        disk.repair()
    assert (ram / "disk.img").read_bytes() == GPT.image()


def test_the_backup_is_where_it_was_found_not_where_the_primary_says(ram: Path) -> None:
    state = state_of(ram, resigned(GPT.image(), 1, "alternate_lba", 1000))
    assert state.table is not None
    assert state.table.backup_lba == END


def test_nothing_is_taken_from_a_copy_that_is_to_be_ignored(ram: Path) -> None:
    """Its array has the CRC that the backup header names, whose own array is damaged."""
    image = zeroed(GPT.image(), END - ARRAY)
    image[512:520] = b"IGNOREME"
    assert state_of(ram, image).table is None
    with Disk.open(ram / "disk.img", write=True) as disk, pytest.raises(CorruptGptError):
        disk.repair()
    assert (ram / "disk.img").read_bytes() == image


@pytest.mark.parametrize("sector", [1, END])
def test_erasing_leaves_a_copy_that_is_to_be_ignored(ram: Path, sector: int) -> None:
    image = GPT.image()
    image[sector * 512 : sector * 512 + 8] = b"IGNOREME"
    path = ram / "disk.img"
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        disk.erase()
    after = path.read_bytes()
    assert after[sector * 512 : (sector + 1) * 512] == image[sector * 512 : (sector + 1) * 512]
    other = 1 if sector == END else END
    assert not any(after[other * 512 : (other + 1) * 512])


class Gapped(Gpt):
    """The backup entries follow the partitions, and ten sectors after them comes the header."""

    @property
    def backup_entries(self) -> int:
        return self.backup - self.array_sectors - 10


def test_entries_that_have_lost_their_header_are_found_before_a_gap_too(ram: Path) -> None:
    gpt = Gapped()
    path = ram / "disk.img"
    path.write_bytes(zeroed(zeroed(gpt.image(), 2), END))
    with Disk.open(path, write=True) as disk:
        assert disk.read().source == "combined"
        disk.repair()
    assert path.read_bytes() == gpt.image()


def test_each_header_keeps_what_follows_it_and_its_reserved_field(ram: Path) -> None:
    gpt = Gpt(reserved=7, header_tail=b"primary's", backup_tail=b"backup's")
    path = ram / "disk.img"
    path.write_bytes(gpt.image())
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        disk.write(table.with_attributes(3, table.partition(3).attributes.with_slot(tries=5)))
    wanted = replace(gpt, entries={3: replace(gpt.entries[3], attributes=0x0151 << 48)})
    assert path.read_bytes() == wanted.image()
    path.write_bytes(zeroed(wanted.image(), END))
    with Disk.open(path, write=True) as disk:
        disk.repair()
    assert path.read_bytes() == replace(wanted, backup_tail=b"primary's").image()
    path.write_bytes(zeroed(wanted.image(), 1))
    with Disk.open(path, write=True) as disk:
        disk.repair()
    assert path.read_bytes() == replace(wanted, header_tail=b"backup's").image()


def test_what_a_large_entry_holds_beyond_128_bytes_goes_with_the_partition(ram: Path) -> None:
    gpt = Gpt(entry_size=256, entries={1: Entry(100, 199, "a", tail=b"vendor"), 2: Entry(200, 299, "b", tail=b"other")})
    image = gpt.image()
    path = ram / "disk.img"
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        disk.write(table.change(1, table.partition(1)._replace(last_lba=150)).remove(2))
    wanted = replace(gpt, entries={1: replace(gpt.entries[1], last=150)})
    assert path.read_bytes() == wanted.image()


def test_a_new_partition_takes_nothing_over_from_an_entry_that_is_not_used(ram: Path) -> None:
    """Only the type was cleared, as cgpt does it."""
    cleared = Entry(200, 299, "b", tail=b"left over")
    gpt = Gpt(entry_size=256, entries={1: Entry(100, 199, "a"), 2: replace(cleared, kind=type(cleared.kind)(int=0))})
    path = ram / "disk.img"
    path.write_bytes(gpt.image())
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        assert list(table.partitions) == [1]
        disk.write(table.add(table.partition(1)._replace(first_lba=300, last_lba=301, unique_guid=table.disk_guid), 2))
    guid = type(cleared.guid)(bytes_le=bytes(table.disk_guid))
    assert path.read_bytes() == replace(gpt, entries={**gpt.entries, 2: Entry(300, 301, "a", guid=guid)}).image()
