"""Both copies are judged apart, the best information is used, and what is wrong is said precisely."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import CorruptGptError, Disk, NotGptError
from gptlib.linux.device import FileDevice
from gptlib.read.checks import table_findings
from tests.gptlib.handmade import DISK, Entry, Gpt, resigned, zeroed
from tests.gptlib.readers import tool

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib import Examination

GPT = Gpt()
E1, E2, END = 2, 2048 - 33, 2047


def read(ram: Path, image: bytes | bytearray) -> Examination:
    path = ram / "disk.img"
    path.write_bytes(image)
    with Disk.open(path) as disk:
        return disk.examine()


def codes(state: Examination) -> set[str]:
    return {f"{finding.where}: {finding.code}" for finding in state.findings}


def entries_of(state: Examination) -> dict[int, tuple[int, int, str, int]]:
    assert state.table is not None
    return {n: (p.first_lba, p.last_lba, p.name, int(p.attributes)) for n, p in state.table.partitions.items()}


def expected(gpt: Gpt) -> dict[int, tuple[int, int, str, int]]:
    return {n: (entry.first, entry.last, entry.name, entry.attributes) for n, entry in gpt.entries.items()}


class DeviceOf4096(FileDevice):
    """An image that says the size of its sectors, as a device does."""

    sector_size = 4096


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (bytes(4096 * 600), "no 'EFI PART' in sector 1 or in the last one of its 600 sectors"),
        (GPT.image(), "there is one for 512-byte sectors on this disk of 4096-byte sectors"),
        (
            resigned(zeroed(GPT.image(), END), 1, "my_lba", 7),
            "there is a damaged one for 512-byte sectors on this disk",
        ),
    ],
    ids=["none", "of the other size", "damaged"],
)
def test_a_table_for_other_sectors_is_told_of_only_where_there_is_one(ram: Path, image: bytes, told: str) -> None:
    path = ram / "disk.img"
    path.write_bytes(image)
    with path.open("rb") as file, pytest.raises(NotGptError) as caught:
        Disk(DeviceOf4096(str(path), file.fileno(), len(image)), writable=False).read()
    assert told in str(caught.value)


GEOMETRIES = {
    "the usual": GPT,
    "4096-byte sectors": Gpt(sectors=600, sector_size=4096),
    "one entry": Gpt(count=1, entries={1: Entry(100, 199)}),
    "five entries, an array that ends inside a sector": Gpt(count=5, entries={5: Entry(100, 199)}),
    "300 entries": Gpt(count=300, entries={300: Entry(300, 399)}),
    "entries of 256 bytes": Gpt(entry_size=256, entries={3: Entry(100, 199, tail=b"vendor")}),
    "entries of 1024 bytes": Gpt(count=8, entry_size=1024),
    "4 entries, 4096-byte sectors": Gpt(sectors=600, sector_size=4096, count=4),
    "a header of 512 bytes": Gpt(header_size=512, header_tail=b"vendor"),
    "a header of 100 bytes": Gpt(header_size=100, header_tail=b"vendor"),
    "a header of 4096 bytes": Gpt(sectors=600, sector_size=4096, header_size=4096, header_tail=b"x" * 4004),
    "something behind the header": Gpt(header_tail=b"reserved, but not zero"),
    "padding before the entries": Gpt(padding=62),
    "a later revision": Gpt(revision=0x10001),
    "no partitions": Gpt(entries={}),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_legal_geometry_is_read(ram: Path, name: str) -> None:
    gpt = GEOMETRIES[name]
    state = read(ram, gpt.image())
    assert state.findings == ()
    assert entries_of(state) == expected(gpt)
    table = state.table
    assert table is not None
    assert (table.sector_size, table.total_sectors) == (gpt.sector_size, gpt.sectors)
    assert (table.entries.capacity, table.entries.entry_size) == (gpt.count, gpt.entry_size)
    assert table.disk_guid.text == str(DISK)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize("lost", ["header", "entries", "both"])
@pytest.mark.parametrize("side", ["primary", "backup"])
def test_one_good_copy_is_enough_in_every_geometry(ram: Path, name: str, lost: str, side: str) -> None:
    gpt = GEOMETRIES[name]
    if lost == "entries" and not gpt.entries:
        return
    image, size = gpt.image(), gpt.sector_size
    header, entries = (1, gpt.primary_entries) if side == "primary" else (gpt.backup, gpt.backup_entries)
    if lost in {"header", "both"}:
        image = zeroed(image, header, size=size)
    if lost in {"entries", "both"}:
        image = zeroed(image, entries, gpt.array_sectors, size=size)
    state = read(ram, image)
    assert entries_of(state) == expected(gpt)
    code = "signature" if lost in {"header", "both"} else "entries-crc"
    assert codes(state) == {f"{side}: {code}"}
    assert state.source == ("backup" if side == "primary" else "primary")


# What is done to the primary header (offset, bytes), and whether its CRC is made right again.
HEADER_DAMAGES = {
    "signature": (0, b"EFI PARD", True, "no 'EFI PART' at the start of sector 1"),
    "revision": (8, b"\0\0\2\0", True, "header revision is 0x00020000; expected 0x00010000"),
    "header-size": (12, b"\x5b\0\0\0", True, "header size is 91; expected 92 to 512 bytes"),
    "header-crc": (56, b"\xff", False, "which its contents do not have"),
    "my-lba": (24, b"\5", True, "the header in sector 1 says that it stands in sector 5"),
    "entry-size": (84, b"\x81", True, "entry size is 129; expected 128 * 2^n bytes"),
    "entry-count": (80, b"\xff\xff\xff\xff", True, "4294967295 entries of 128 bytes are not plausible"),
    "usable-range": (40, (5000).to_bytes(8, "little"), True, "usable sectors are said to be 5000 to 2014"),
    "entries-range": (72, (5000).to_bytes(8, "little"), True, "entries in sectors 5000 to 5031 lie outside the disk"),
    "entries-crc": (88, b"\1\2\3\4", True, "entries do not have the CRC 0x04030201 that the header names"),
}


@pytest.mark.parametrize("code", HEADER_DAMAGES)
def test_what_is_wrong_with_a_header_is_said_precisely(ram: Path, code: str) -> None:
    import zlib

    offset, data, sign, message = HEADER_DAMAGES[code]
    image = GPT.image()
    image[512 + offset : 512 + offset + len(data)] = data
    if sign:
        raw = bytes(image[512:604])
        image[528:532] = zlib.crc32(raw[:16] + bytes(4) + raw[20:]).to_bytes(4, "little")
    state = read(ram, image)
    assert [f.code for f in state.primary.findings if message in f.message] == [code]
    assert state.source == "backup"
    assert entries_of(state) == expected(GPT)


@pytest.mark.parametrize(
    ("lba", "message"),
    [(500, r"lie among the partitions' \(34 to 2014\)"), (1, r"sectors 1 to 32 lie outside the disk \(2 to 2047\)")],
)
def test_entries_in_an_impossible_place_are_not_believed(ram: Path, lba: int, message: str) -> None:
    import re
    import zlib

    image = GPT.image()
    image[512 + 72 : 512 + 80] = lba.to_bytes(8, "little")
    raw = bytes(image[512:604])
    image[528:532] = zlib.crc32(raw[:16] + bytes(4) + raw[20:]).to_bytes(4, "little")
    state = read(ram, image)
    assert state.source == "backup"
    assert any(re.search(message, finding.message) for finding in state.primary.findings)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_good_header_and_the_entries_of_the_other_copy_make_a_table(ram: Path, name: str) -> None:
    gpt = GEOMETRIES[name]
    if not gpt.entries:
        return
    size = gpt.sector_size
    for header, entries in ((1, gpt.backup_entries), (gpt.backup, gpt.primary_entries)):
        image = zeroed(zeroed(gpt.image(), header, size=size), entries, gpt.array_sectors, size=size)
        state = read(ram, image)
        if gpt.padding and header == gpt.backup:
            assert state.source in {"", "combined"}
            continue
        assert state.source == "combined"
        assert entries_of(state) == expected(gpt)


def test_both_valid_but_different_the_primary_wins(ram: Path) -> None:
    image = GPT.image()
    other = replace(GPT, entries={3: Entry(100, 199, "OLD")}).image()
    image[E2 * 512 :] = other[E2 * 512 :]
    state = read(ram, image)
    assert codes(state) == {"disk: copies-differ"}
    assert state.source == "primary"
    assert entries_of(state) == expected(GPT)


def test_a_grown_disk_is_read_and_told(ram: Path) -> None:
    state = read(ram, GPT.image() + bytes(512 * 100))
    assert codes(state) == {"disk: backup-not-at-end", "mbr: mbr-size"} - {"mbr: mbr-size"}
    assert entries_of(state) == expected(GPT)
    assert state.backup.lba == END


def test_a_backup_at_the_end_is_found_where_the_primary_points_elsewhere(ram: Path) -> None:
    """As after another tool moved the backup and died before it wrote the primary."""
    image = GPT.image() + bytes(512 * 64)
    moved = replace(GPT, sectors=2112).image()
    image[-33 * 512 :] = moved[-33 * 512 :]
    image = zeroed(image, END)
    state = read(ram, image)
    assert state.backup.valid
    assert state.backup.lba == 2111
    assert state.source == "primary"


def test_a_truncated_disk_is_read_and_told(ram: Path) -> None:
    state = read(ram, GPT.image()[: 1500 * 512])
    assert state.source == "primary"
    assert {finding.code for finding in state.findings} == {"signature", "occupied", "disk-truncated"}
    assert "needs 2048 sectors but the disk ends after 1500" in str(state.findings)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 1535, 1536, 4096, 17408])
def test_a_short_file_is_refused(ram: Path, size: int) -> None:
    path = ram / "disk.img"
    path.write_bytes(GPT.image()[:size] if size < 1024 else bytes(size))
    with Disk.open(path) as disk, pytest.raises(NotGptError, match="no GUID partition table"):
        disk.read()


def test_two_dead_copies_are_refused_with_everything_that_is_wrong(ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(zeroed(zeroed(GPT.image(), E1), E2))
    with Disk.open(path) as disk, pytest.raises(CorruptGptError) as caught:
        disk.read()
    message = str(caught.value)
    assert message.count("\n") == 0
    assert "both copies of the GPT are damaged: primary: entries do not have the CRC" in message
    assert "backup: entries do not have the CRC" in message
    assert message.endswith("restore it from a dump (gptctl restore)")


def test_a_disk_without_a_gpt_is_told_apart_from_a_damaged_one(ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(bytes(1 << 20))
    with (
        Disk.open(path) as disk,
        pytest.raises(NotGptError, match="no 'EFI PART' in sector 1 or in the last one of its 2048"),
    ):
        disk.read()


@pytest.mark.parametrize(("side", "source"), [("primary", "backup"), ("backup", "primary")])
def test_a_copy_marked_ignoreme_is_not_used(ram: Path, side: str, source: str) -> None:
    image = GPT.image()
    at = 512 if side == "primary" else END * 512
    image[at : at + 8] = b"IGNOREME"
    state = read(ram, image)
    assert state.source == source
    assert [(f.where, f.code, f.severity) for f in state.findings] == [(side, "ignored", "note")]
    assert entries_of(state) == expected(GPT)


RECORD = bytes.fromhex("000002000c0102000008000000100000")
PROTECTIVE = bytes.fromhex("00000200eeffffff01000000ff070000")
MBRS = {
    "protective": (PROTECTIVE, set()),
    "protective up to 2^32": (bytes.fromhex("00000200eeffffff01000000ffffffff"), set()),
    "of another size": (bytes.fromhex("00000200eeffffff01000000ff000000"), {"mbr: mbr-size"}),
    "hybrid": (RECORD + PROTECTIVE, {"mbr: mbr-hybrid"}),
    "of another system": (RECORD, {"mbr: mbr-foreign"}),
    "empty": (b"", {"mbr: mbr-absent"}),
}


@pytest.mark.parametrize("name", MBRS)
def test_no_mbr_ever_stops_a_read(ram: Path, name: str) -> None:
    records, findings = MBRS[name]
    state = read(ram, replace(GPT, mbr_records=records.ljust(64, b"\0")).image())
    assert codes(state) == findings
    assert entries_of(state) == expected(GPT)


def test_an_mbr_without_its_signature_is_absent(ram: Path) -> None:
    image = GPT.image()
    image[510:512] = b"\0\0"
    assert codes(read(ram, image)) == {"mbr: mbr-absent"}


def test_a_remnant_for_another_sector_size_does_not_hide_the_table(ram: Path) -> None:
    """sgdisk on a disk of 4096-byte sectors leaves the old header in byte 512 alone."""
    old, new = Gpt(sectors=4800), Gpt(sectors=600, sector_size=4096)
    for lost in (None, 1):
        image = new.image()
        image[512:1024] = old.image()[512:1024]
        if lost:
            image = zeroed(image, lost, size=4096)
        state = read(ram, image)
        assert state.sector_size == 4096
        assert entries_of(state) == expected(new)


def test_findings_about_the_partitions(ram: Path) -> None:
    guid = Entry(1, 1).guid
    entries = {
        1: Entry(100, 199, guid=guid),
        2: Entry(150, 250),
        3: Entry(20, 40),
        4: Entry(2000, 2020),
        5: Entry(400, 300),
        6: Entry(500, 510, guid=guid),
    }
    state = read(ram, replace(GPT, entries=entries).image())
    assert state.findings == ()
    assert state.table is not None
    found = {(finding.code, finding.message) for finding in table_findings(state.table)}
    assert found == {
        ("overlap", "partition 2 (sectors 150 to 250) overlaps partition 1"),
        ("out-of-range", "partition 3 (sectors 20 to 40) leaves the usable range 34 to 2014"),
        ("out-of-range", "partition 4 (sectors 2000 to 2020) leaves the usable range 34 to 2014"),
        ("reversed", "partition 5 ends (sector 300) before it starts (sector 400)"),
        ("duplicate-guid", f"partitions 1 and 6 have the same GUID {str(guid).upper()}"),
    }
    assert len(list(table_findings(state.table))) == len(found)


def test_a_partition_inside_two_others_overlaps_the_one_that_reaches_farthest(ram: Path) -> None:
    entries = {1: Entry(100, 900), 2: Entry(150, 160), 3: Entry(300, 310)}
    state = read(ram, replace(GPT, entries=entries).image())
    assert state.table is not None
    assert [finding.message.split(" overlaps ")[1] for finding in table_findings(state.table)] == ["partition 1"] * 2


def test_the_handmade_tables_are_tables_to_others_too(ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(GPT.image())
    assert "No problems found" in tool("sgdisk", "--verify", path)
