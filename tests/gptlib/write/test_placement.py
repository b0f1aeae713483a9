"""Where a table is written, and where not: odd disks as people have them, made by other tools."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gptlib import Disk, Table, TableError
from gptlib.table.partition import EntryArray
from gptlib.write.placement import check_places, check_room, check_writes
from gptlib.write.plan import Write
from tests.gptlib import odd
from tests.gptlib.fuzz.operations import run as in_process
from tests.gptlib.handmade import Entry, zeroed
from tests.gptlib.odd import LAST, LOADER, put
from tests.gptlib.oracle import header_at, layout_of
from tests.gptlib.readers import run, tool
from tests.gptlib.tables import blank
from tests.loopdev import LOOP, loop

if TYPE_CHECKING:
    from pathlib import Path

USR = odd.USR
A, B = "USR-A", "USR-B"


class Done(NamedTuple):
    """What a command left: its exit code and output, and the sectors that changed."""

    code: int
    out: str
    err: str
    changed: set[int]


@pytest.fixture
def disk(ram: Path) -> Path:
    return ram / "disk.img"


def do(path: Path, *words: object) -> Done:
    """Run a command on the disk; ours in this process."""
    before = path.read_bytes()
    command = [str(word) for word in (*words, path)]
    if words[0] in {"gptctl", "bootselect"}:
        code, out, err = in_process(command)
    else:
        ran = run(*command)
        code, out, err = ran.returncode, ran.stdout, ran.stderr
    after = path.read_bytes()
    changed = {at // 512 for at in range(0, len(before), 512) if before[at : at + 512] != after[at : at + 512]}
    return Done(code, out, err, changed)


def slots(path: Path) -> dict[str, str]:
    with Disk.open(path) as opened:
        table = opened.table()
    return {p.label: str(p.attributes) for p in table.partitions.values() if p.label.startswith("USR")}


def guid_of(path: Path, label: str) -> str:
    with Disk.open(path) as opened:
        return next(p.unique_guid.text for p in opened.table().partitions.values() if p.label == label)


# A partition that reaches to the end of the disk, where the backup would have to stand.

CHANGES: list[tuple[object, ...]] = [
    ("gptctl", "add", "-i", 1, "-T", 7),
    ("gptctl", "repair"),
    ("gptctl", "repair", "--force"),
    ("gptctl", "next"),
    ("gptctl", "prioritize", "-i", 1),
    ("gptctl", "edit", "-u", "01234567-89AB-CDEF-0123-456789ABCDEF"),
    ("gptctl", "legacy"),
    ("bootselect", "mark-good", "--slot", B),
    ("bootselect", "mark-bad", "--slot", B),
    ("bootselect", "arm", "--slot", B),
    ("bootselect", "prioritize", "--slot", A),
]


@pytest.mark.parametrize("content", [b"precious", bytes(8)], ids=["data", "zeros"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: " ".join(map(str, change)))
def test_nothing_is_written_where_the_backup_would_stand_in_a_partition(
    disk: Path, change: tuple[object, ...], content: bytes
) -> None:
    odd.partition_to_the_end(disk)
    put(disk, LAST - 40, content * 64 * 41)
    done = do(disk, *change)
    assert done.code == 1
    assert done.changed == set()
    assert done.err.count("\n") == 1
    assert "partition 3" in done.err or "the backup is not valid" in done.err


@pytest.mark.parametrize("content", [b"precious", bytes(8)], ids=["data", "zeros"])
def test_a_proven_slot_is_still_booted_then_and_no_other(disk: Path, content: bytes) -> None:
    odd.partition_to_the_end(disk)
    put(disk, LAST - 40, content * 64 * 41)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.out, done.changed) == (0, f"{guid_of(disk, A)}\n", set())
    assert "nothing was written" in done.err
    assert f"partition 3 (sectors 5000 to {LAST}) reaches into sectors {LAST} to {LAST}" in done.err


def test_other_tools_refuse_that_disk_or_write_over_the_partition(disk: Path) -> None:
    odd.partition_to_the_end(disk)
    assert do(disk, "sgdisk", "-A", "1:set:60")[::3] == (4, set())
    assert do(disk, "cgpt", "add", "-i", 1, "-T", 7)[::3] == (1, set())
    sfdisk = ("sfdisk", "-q", "--no-tell-kernel", "--no-reread", "--part-attrs", disk, 1, "GUID:60")
    before = disk.read_bytes()
    assert run(*sfdisk).returncode == 0
    assert disk.read_bytes()[(LAST - 32) * 512 :] != before[(LAST - 32) * 512 :]


def test_the_reason_is_told_before_anybody_writes(disk: Path) -> None:
    odd.partition_to_the_end(disk)
    verify = do(disk, "gptctl", "verify")
    assert "backup: its place reaches into partition 3; no change can be written as long as it does" in verify.out


@pytest.mark.parametrize("remedy", [("-t", "unused"), ("-s", 1000)], ids=["remove it", "make it smaller"])
def test_the_partition_in_the_way_can_be_given_up(disk: Path, remedy: tuple[object, ...]) -> None:
    """Its data is left alone: nobody can know that it is worthless. Only by force is the backup written over it."""
    odd.partition_to_the_end(disk)
    done = do(disk, "gptctl", "add", "-i", 3, *remedy)
    assert (done.code, done.changed) == (0, {1, 2})
    assert "this copy is left alone" in done.err
    assert do(disk, "gptctl", "repair")[::3] == (1, set())
    forced = do(disk, "gptctl", "repair", "--force")
    assert forced.code == 0
    assert {LAST - 32, LAST} <= forced.changed
    assert "No problems found" in tool("sgdisk", "-v", disk)


def test_a_partition_that_begins_inside_the_primary_array_stops_every_write(disk: Path) -> None:
    odd.partition_in_the_primary_array(disk)
    for change in CHANGES:
        done = do(disk, *change)
        assert (done.code, done.changed) == (1, set()), change
        assert "partition 3 (sectors 30 to 60) reaches into sectors 2 to 33" in done.err
    assert do(disk, "bootselect", "next").out == f"{guid_of(disk, A)}\n"


# The array of the primary is not at sector 2.


@pytest.mark.slow
def test_an_array_that_was_moved_for_a_boot_loader_stays_where_it_is(disk: Path) -> None:
    """sgdisk -j 1000, a loader from sector 16 on, and fdisk has made the sectors around the array usable."""
    tool("sgdisk", "-n1:2048:+8M", f"-t1:{USR}", "-c1:A", "-n2:0:+8M", f"-t2:{USR}", "-c2:B", blank(disk, 131072))
    assert do(disk, "gptctl", "add", "-i1", "-P1", "-S1").code == 0
    assert do(disk, "gptctl", "add", "-i2", "-P2", "-T3").code == 0
    tool("sgdisk", "-j", 1000, disk)
    put(disk, 16, b"SPL")
    tool("fdisk", disk, text="x\nl\n256\nr\nw\n")
    header = header_at(disk.read_bytes(), 1, 512)
    assert header is not None
    assert (header.entries, header.number) == (1000, 256)
    assert header.first < 1000
    done = do(disk, "bootselect", "next")
    assert (done.code, done.err) == (0, "")
    assert done.changed == {1, 1000, 131007, 131071}
    with Disk.open(disk) as opened:
        assert str(opened.table().partition(2).attributes) == "priority=2 tries=2 successful=0"
    assert run("partx", "-g", "-o", "NR", "--raw", disk).stdout.split() == ["1", "2"]


def test_the_moved_array_is_found_again_when_its_header_is_lost_or_left_alone(disk: Path) -> None:
    """Where it stood nobody can know then; the loader at the usual place is left alone."""
    odd.array_at_1000(disk)
    put(disk, 1, bytes(512))
    loader = disk.read_bytes()[2 * 512 : 66 * 512]
    done = do(disk, "bootselect", "next")
    assert (done.code, done.out) == (0, f"{guid_of(disk, B)}\n")
    assert disk.read_bytes()[2 * 512 : 66 * 512] == loader
    assert slots(disk)[B] == "priority=2 tries=2 successful=0"


# Boot loaders.


def test_a_loader_in_the_unused_part_of_the_array_is_left_alone(disk: Path) -> None:
    odd.loader_in_the_unused_part(disk)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.out) == (0, f"{guid_of(disk, B)}\n")
    assert "primary: sector 16 holds something that is not part of a table; this copy is left alone" in done.err
    assert disk.read_bytes()[16 * 512 : 34 * 512] == LOADER * 18
    assert slots(disk) == {A: "priority=1 tries=0 successful=1", B: "priority=2 tries=2 successful=0"}
    assert done.changed == {1, LAST - 32, LAST}
    refused = do(disk, "gptctl", "repair")
    assert (refused.code, refused.changed) == (1, set())
    assert "'gptctl repair --force' writes over it" in refused.err
    assert do(disk, "gptctl", "repair", "--force").code == 0
    assert "No problems found" in tool("sgdisk", "-v", disk)


def test_a_loader_behind_an_array_of_56_entries_is_no_obstacle(disk: Path) -> None:
    """Sectors 2 to 15 for the entries, the loader from 16 on: what Allwinner's boards need."""
    odd.loader_behind_56_entries(disk)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.err) == (0, "")
    assert done.changed <= {*range(1, 16), LAST - 14, LAST}
    assert disk.read_bytes()[16 * 512 : 416 * 512] == LOADER * 400
    assert "No problems found" in tool("sgdisk", "-v", disk)


def test_a_lost_primary_in_the_layout_of_fdisk_goes_where_nothing_stands(disk: Path) -> None:
    """Usable from 2048, so its place is a guess: with a loader from sector 2 on it is the end of the gap, as sgdisk's."""
    odd.loader_in_the_place_of_the_primary(disk)
    done = do(disk, "gptctl", "repair")
    assert (done.code, done.changed) == (0, {1, 2016})
    assert disk.read_bytes()[2 * 512 : 402 * 512] == LOADER * 400


def test_a_lost_primary_is_left_alone_where_a_loader_fills_the_gap(disk: Path) -> None:
    odd.loader_in_the_place_of_the_primary(disk)
    put(disk, 2, LOADER * 2046)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.changed) == (0, {LAST - 32, LAST})
    assert "this copy is left alone" in done.err
    assert slots(disk)[B] == "priority=2 tries=2 successful=0"
    assert do(disk, "gptctl", "repair")[::3] == (1, set())


def test_a_lost_primary_header_that_is_a_loader_now_is_left_alone(disk: Path) -> None:
    """Marvell's boards boot from sector 1."""
    odd.two_slots_of_sfdisk(disk)
    put(disk, 1, LOADER)
    done = do(disk, "bootselect", "next")
    assert done.changed == {LAST - 32, LAST}
    assert "primary: sector 1 holds something" in done.err


def test_what_stands_in_place_of_unused_entries_is_left_alone_whatever_those_hold(disk: Path) -> None:
    """Entries without a type are unused, zero or not."""
    odd.two_slots(disk)
    for array, header in ((2, 1), (LAST - 32, LAST)):
        put(disk, array + 10, (bytes(16) + b"left behind here" * 7) * 4)
        odd.resign(disk, header)
    put(disk, 1, bytes(512))
    put(disk, 12, LOADER)
    done = do(disk, "bootselect", "next")
    assert done.code == 0
    assert not done.changed & set(range(34))


def test_a_damaged_copy_of_the_same_table_is_no_obstacle(disk: Path) -> None:
    odd.two_slots_of_sfdisk(disk)
    image = disk.read_bytes()
    put(disk, 1, image[512:600] + b"\xff\xff" + image[602:1024])
    put(disk, 2, bytes(100) + image[1124:1536])
    assert do(disk, "gptctl", "repair").code == 0
    assert "No problems found" in tool("sgdisk", "-v", disk)


# What ends the disk.


def test_the_footer_of_a_fixed_vhd_survives(disk: Path) -> None:
    odd.fixed_vhd(disk)
    footer = disk.read_bytes()[-512:]
    done = do(disk, "bootselect", "prioritize", "--slot", A)
    assert (done.code, done.changed) == (0, {1, 2, LAST - 32, LAST})
    assert disk.read_bytes()[-512:] == footer
    assert slots(disk)[A].startswith("priority=2")
    assert "virtual size" in tool("qemu-img", "info", "-f", "vpc", disk)
    for command in (("gptctl", "repair"), ("gptctl", "resize", "-i", 2, "-m", 1)):
        refused = do(disk, *command)
        assert (refused.code, refused.changed) == (1, set())
        assert "ends with the footer of a VHD" in refused.err


def test_a_damaged_copy_on_a_fixed_vhd_is_repaired_in_its_place(disk: Path) -> None:
    odd.fixed_vhd_without_primary_entries(disk)
    done = do(disk, "gptctl", "repair")
    assert (done.code, done.changed) == (0, {2})


def test_a_superblock_of_md_survives(disk: Path) -> None:
    regions = odd.md_member(disk)
    assert tool("blkid", "-p", "-s", "TYPE", "-o", "value", disk) == "linux_raid_member\n"
    done = do(disk, "bootselect", "next")
    assert (done.code, done.changed) == (0, {1, 2, LAST - 32, LAST})
    assert not done.changed & set(regions["the superblock"])
    assert "ends with a member of an md array (metadata 1.0)" in do(disk, "gptctl", "verify").out
    assert do(disk, "gptctl", "repair", "--force").code == 0
    assert "No problems found" in tool("sgdisk", "-v", disk)


def test_a_footer_in_the_place_of_the_backup_header_survives(disk: Path) -> None:
    odd.footer_for_a_backup(disk)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.changed) == (0, {1, 2})
    assert "backup: the disk ends with the footer of a VHD" in done.err


def test_a_grown_disk_whose_old_backup_was_written_over_keeps_what_is_there(disk: Path) -> None:
    odd.data_in_the_place_of_the_backup(disk)
    last = odd.grow(disk, 1000)
    done = do(disk, "bootselect", "next")
    assert done.code == 0
    assert {last - 32, last} <= done.changed
    assert not done.changed & set(range(LAST - 20, LAST + 1))
    assert "No problems found" in tool("sgdisk", "-v", disk)


@pytest.mark.parametrize("act", [("bootselect", "next"), ("gptctl", "repair"), ("gptctl", "add", "-i", 1, "-T", 2)])
def test_a_disk_that_was_cut_off_keeps_what_stands_at_its_end(disk: Path, act: tuple[object, ...]) -> None:
    odd.cut_off_with_data(disk)
    done = do(disk, *act)
    assert done.changed == set()
    assert "backup: sector 5999 holds something that is not part of a table" in done.err


if LOOP:

    @pytest.mark.slow
    @pytest.mark.parametrize("sector_size", [512, 4096])
    @pytest.mark.parametrize(
        ("back", "data"), [(63 * 512, b"Promise Technology, Inc."), (4096 - 60, b"\x83\x74\x02\x6b")]
    )
    def test_signatures_are_seen_by_direct_io_of_whole_sectors(
        disk: Path, sector_size: int, back: int, data: bytes
    ) -> None:
        """They stand where sectors of 512 bytes begin, or in the middle of them."""
        blank(disk, 16384)
        with loop(disk, "--sector-size", str(sector_size)) as node:
            tool("sgdisk", "-o", node)
        image = disk.read_bytes() + bytes(1 << 20)
        disk.write_bytes(image[:-back] + data + image[len(image) - back + len(data) :])
        with loop(disk, "--sector-size", str(sector_size)) as node, Disk.open(node) as opened:
            assert opened.read().end_signature


# Commands that are asked for a place.


def test_create_with_padding_leaves_the_loader_that_it_is_for(disk: Path) -> None:
    """The old table, whose primary would have stood there, is not repaired on the way."""
    odd.loader_in_the_place_of_the_primary(disk)
    done = do(disk, "gptctl", "create", "-p", 500)
    assert done.code == 0
    assert disk.read_bytes()[2 * 512 : 402 * 512] == LOADER * 400
    assert "No problems found" in tool("sgdisk", "-v", disk)


def test_restore_refuses_a_dump_whose_places_lie_in_its_partitions(disk: Path) -> None:
    odd.two_slots(disk)
    dump = disk.with_name("table.dump")
    dump.write_text(do(disk, "gptctl", "dump").out.replace("start=2048 size=1024", "start=20 size=3052"))
    before = disk.read_bytes()
    done = run("gptctl", "restore", dump, disk)
    assert done.returncode == 1
    assert "partition 1 (sectors 20 to 3071) reaches into sectors 2 to 33" in done.stderr
    assert disk.read_bytes() == before


def test_restore_does_not_repair_the_old_table_on_the_way(disk: Path) -> None:
    odd.loader_in_the_place_of_the_primary(disk)
    dump = disk.with_name("table.dump")
    text = do(disk, "gptctl", "dump").out
    dump.write_text(text.replace("primary=2016", "primary=1000"))
    assert run("gptctl", "restore", "-k", dump, disk).returncode == 0
    assert disk.read_bytes()[2 * 512 : 402 * 512] == LOADER * 400


def test_erasing_leaves_a_loader_in_the_array(disk: Path) -> None:
    odd.loader_in_the_unused_part(disk)
    assert do(disk, "gptctl", "create", "-z").code == 0
    image = disk.read_bytes()
    assert image[16 * 512 : 34 * 512] == LOADER * 18
    assert layout_of(image, 512) is None
    assert b"EFI PART" not in image


def test_erasing_leaves_what_follows_a_short_array_in_its_last_sector(disk: Path) -> None:
    with Disk.open(blank(disk, 2048), write=True) as opened:
        opened.create(Table.new(total_sectors=2048, entry_count=5))
    put(disk, 3, bytes(128) + LOADER[:384])
    assert do(disk, "gptctl", "create", "-z").code == 0
    assert disk.read_bytes()[3 * 512 + 128 : 4 * 512] == LOADER[:384]


@pytest.mark.parametrize("option", [(), ("-p",), ("-e",)], ids=["legacy", "ignore", "back"])
def test_chromeos_modes_are_refused_where_a_loader_stands_in_the_place_of_the_primary(
    disk: Path, option: tuple[str, ...]
) -> None:
    odd.loader_in_the_place_of_the_primary(disk)
    put(disk, 2, LOADER * 2046)
    done = do(disk, "gptctl", "legacy", *option)
    assert (done.code, done.changed) == (1, set())
    assert "holds something that is not part of a table" in done.err


def test_the_way_back_from_ignoreme_leaves_what_the_firmware_has_put_there(disk: Path) -> None:
    odd.two_slots_of_sfdisk(disk)
    assert do(disk, "gptctl", "legacy", "-p").changed == {1}
    put(disk, 2, LOADER * 2046)
    done = do(disk, "gptctl", "legacy", "-e")
    assert (done.code, done.changed) == (1, set())
    assert "primary: sector 2 holds something" in done.err


def test_a_copy_marked_ignoreme_is_written_by_nobody(disk: Path) -> None:
    odd.ignored_primary(disk)
    assert do(disk, "gptctl", "repair").changed == set()
    done = do(disk, "bootselect", "next")
    assert (done.code, done.changed) == (0, {LAST - 32, LAST})
    assert slots(disk)[B] == "priority=2 tries=2 successful=0"


@pytest.mark.slow
@pytest.mark.parametrize("option", [(), ("-p",)])
def test_chromeos_modes_lose_no_table(disk: Path, option: tuple[str, ...]) -> None:
    """Copies that differ are first brought into line; a backup that nobody finds is not left as the only table."""
    odd.two_slots(disk)
    image = disk.read_bytes()
    tool("sgdisk", "-A", "1:set:60", disk)
    put(disk, LAST - 32, image[(LAST - 32) * 512 :])
    assert do(disk, "gptctl", "legacy", *option).code == 0
    with Disk.open(disk) as opened:
        assert opened.table().partition(1).attributes >> 60 & 1
    odd.grown(disk)
    done = do(disk, "gptctl", "legacy", *option)
    assert (done.code, done.changed) == (1, set())
    assert "the backup is not in the last sector and cannot be left as the only table" in done.err


def test_chromeos_modes_sign_headers_of_any_size(disk: Path) -> None:
    with Disk.open(blank(disk, 2048), write=True) as opened:
        opened.create(Table.new(total_sectors=2048)._replace(header_size=128))
    for option in ((), ("-e",)):
        assert do(disk, "gptctl", "legacy", *option).code == 0
        with Disk.open(disk) as opened:
            assert opened.read().backup.valid


@pytest.mark.parametrize("intact", [True, False])
def test_only_a_complete_header_for_other_sectors_is_wiped(disk: Path, intact: bool) -> None:
    """What begins like one may be the boot loader that looks for it."""
    with Disk.open(blank(disk, 2048), write=True) as opened:
        opened.create(Table.new(total_sectors=256, sector_size=4096))
    image = bytearray(zeroed(bytearray(disk.read_bytes()), 9, 2048 - 9))
    image[4096 + 16] ^= not intact
    disk.write_bytes(image)
    assert do(disk, "gptctl", "create", "-p", 100).code == 0
    assert disk.read_bytes()[4096:4104] == (bytes(8) if intact else b"EFI PART")


def test_both_headers_naming_one_array_is_no_table_to_write(disk: Path) -> None:
    odd.one_array(disk)
    done = do(disk, "gptctl", "add", "-i", 1, "-T", 3)
    assert (done.code, done.changed) == (1, set())
    assert (
        "the primary entries (sectors 2 to 33) and the backup entries (sectors 2 to 33) would stand on each other"
        in done.err
    )


def test_a_backup_array_far_from_its_header_stays_there(disk: Path) -> None:
    regions = odd.backup_array_elsewhere(disk)
    done = do(disk, "bootselect", "next")
    assert (done.code, done.changed) == (0, {1, 2, 7000, LAST})
    assert not done.changed & set(regions["the data"])


# The functions, at their edges.

TABLE = Table.new(total_sectors=4096)


def with_partition(first: int, last: int) -> Table:
    """Whatever its places are; those that no tool makes stand on disks all the same."""
    entry = Entry(first, last).encode(128)
    return TABLE._replace(entries=EntryArray(entry.ljust(len(TABLE.entries), b"\0"), 128))


def at_places(places: dict[str, int]) -> Table:
    return TABLE._replace(**places)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "last", "refused"),
    [
        (34, 4062, False),
        (33, 4062, True),
        (34, 4063, True),
        (0, 0, False),
        (0, 1, True),
        (1, 1, True),
        (4095, 4095, True),
        (4096, 5000, False),
        # One that ends before it starts is, for some reader, both of its ends.
        (100, 20, True),
        (20, 19, True),
        (100, 0, False),
        (1 << 63, 33, True),
    ],
)
def test_a_partition_may_touch_no_part_of_the_table(first: int, last: int, refused: bool) -> None:
    table = with_partition(first, last)
    if not refused:
        check_places("disk", table)
        return
    with pytest.raises(TableError, match=r"partition 1 .* nothing was written"):
        check_places("disk", table)


@pytest.mark.parametrize(
    ("lba", "sectors", "refused"), [(99, 1, False), (98, 3, True), (200, 1, True), (201, 9, False)]
)
def test_no_sector_of_a_write_may_lie_in_a_partition(lba: int, sectors: int, refused: bool) -> None:
    epochs = [(Write(lba, bytes(sectors * 512)),)]
    if not refused:
        check_writes("disk", with_partition(100, 200), epochs)
        return
    with pytest.raises(TableError, match="partition 1"):
        check_writes("disk", with_partition(100, 200), epochs)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, False),
        ({"primary_entries_lba": 3}, True),
        ({"primary_entries_lba": 1}, True),
        ({"primary_entries_lba": 3, "first_usable_lba": 35}, False),
        ({"backup_entries_lba": 4064}, True),
        ({"backup_entries_lba": 4062}, True),
        ({"backup_entries_lba": 4000, "last_usable_lba": 3999}, False),
    ],
)
def test_a_place_that_is_asked_for_is_between_header_and_usable_sectors(change: dict[str, int], refused: bool) -> None:
    table = at_places(change)
    if not refused:
        check_room("disk", table)
        return
    with pytest.raises(TableError, match="do not fit"):
        check_room("disk", table)


@pytest.mark.parametrize(
    "change",
    [
        {"primary_entries_lba": 4063},
        {"backup_entries_lba": 4065},
        {"primary_entries_lba": 1},
        {"backup_entries_lba": 4090},
        {"backup_lba": 20, "backup_entries_lba": 3000},
    ],
)
def test_no_structure_stands_on_another_or_outside(change: dict[str, int]) -> None:
    with pytest.raises(TableError, match="would stand"):
        check_places("disk", at_places(change))


def test_a_sound_disk_pays_nothing_for_the_others(disk: Path) -> None:
    """Not even the import of what looks at damage."""
    odd.two_slots(disk)
    script = (
        "import sys; from gptlib import Disk\n"
        f"with Disk.open({str(disk)!r}, write=True) as disk:\n"
        "    table = disk.table()\n"
        "    disk.write(table.with_attributes(1, table.partition(1).attributes.with_slot(tries=3)))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('gptlib.')))"
    )
    loaded = set(tool(sys.executable, "-c", script).split())
    assert "gptlib.write.placement" in loaded
    assert not loaded & {
        *("gptlib.read.occupied", "gptlib.read.signatures", "gptlib.write.single_copy", "gptlib.write.salvage"),
        *("gptlib.write.stale_headers", "gptlib.write.legacy"),
    }
