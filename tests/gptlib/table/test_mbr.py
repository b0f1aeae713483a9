"""What becomes of the MBR: boot code, foreign and hybrid records, the protective one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import (
    Attributes,
    Disk,
    Guid,
    InvalidValueError,
    Partition,
    Table,
    type_guid,
)
from gptlib.cli.main import main
from gptlib.errors import ReadError
from gptlib.linux.device import FileDevice
from gptlib.write.mbr import write_mbr
from tests.gptlib.crash.explorer import crash_states
from tests.gptlib.crash.recording import recorded
from tests.gptlib.handmade import Entry, Gpt, zeroed
from tests.gptlib.readers import run, tool
from tests.gptlib.tables import blank
from tests.gptlib.writing import END, GPT, change, protective, repair, sectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_protective_mbr_is_that_of_sfdisk(ram: Path) -> None:
    for total in (2048, 100000, 1 << 24, (1 << 32) + 5000):
        ours, theirs = ram / "ours.img", ram / "theirs.img"
        for path in (ours, theirs):
            with path.open("wb") as file:
                file.truncate(total * 512)
        tool("sfdisk", "-q", "--no-tell-kernel", "--no-reread", theirs, text="label: gpt\n")
        with Disk.open(ours, write=True) as disk:
            disk.create(Table.new(total_sectors=total))
        with ours.open("rb") as one, theirs.open("rb") as other:
            # The end in CHS of small disks: sfdisk says FF FF FF, sgdisk and UEFI the real one.
            mine, peer = one.read(512), other.read(512)
        assert mine[446:451] + mine[454:] == peer[446:451] + peer[454:]


@pytest.mark.parametrize("size", [512, 4096])
def test_a_change_makes_the_mbr_that_is_missing(ram: Path, size: int) -> None:
    """sfdisk and blkid see no table without it, and sgdisk none while it is changed (tests/gptlib/crash)."""
    path = ram / "disk.img"
    gpt = Gpt(sector_size=size, boot_code=b"\xeb\x63", mbr_records=bytes(64), entries={3: Entry(200, 299, "USR-A")})
    image = gpt.image()
    image[510:512] = bytes(2)
    image[size - 8 : size] = image[size - 8 : size] if size == 512 else b"\xff" * 8
    path.write_bytes(image)
    written = sectors(change(path), size)
    assert written[0] == [(0, 1)]
    assert len(written) == 4
    after = path.read_bytes()
    assert after[:512] == replace(gpt, mbr_records=protective(2048)).mbr()
    assert after[512:size] == image[512:size]


@pytest.mark.parametrize("boot_code", [b"", b"\xeb\x63"])
def test_a_disk_whose_primary_is_to_be_ignored_gets_no_mbr(path: Path, boot_code: bytes) -> None:
    image = replace(GPT, boot_code=boot_code, mbr_records=bytes(64)).image()
    image[510:520] = bytes(2) + b"IGNOREME"
    path.write_bytes(image)
    # The backup is all that there is: its array is used as two halves, so that it is complete at any moment.
    first, second, header = [(END - 32, 1)], [(END - 16, 1)], [(END, 1)]
    assert sectors(change(path)) == [header, second, header, first, header, second, header]


@pytest.mark.parametrize("bits", [12, 16, 32])
@pytest.mark.parametrize("act", [repair, change])
def test_the_boot_sector_of_a_file_system_is_no_mbr(path: Path, act: Callable[[Path], object], bits: int) -> None:
    image, volume = GPT.image(), path.with_name("fat.img")
    with volume.open("wb") as file:
        file.truncate(40 << 20)
    tool("mkfs.fat", "-F", bits, volume)
    image[:512] = volume.read_bytes()[:512]
    path.write_bytes(image)
    act(path)
    assert path.read_bytes()[:512] == image[:512]
    with Disk.open(path) as disk:
        assert [finding.code for finding in disk.read().findings] == ["mbr-foreign"]


@pytest.mark.parametrize("used", [False, True])
def test_a_stale_header_is_wiped_before_the_mbr_lets_probers_in(path: Path, *, used: bool) -> None:
    """One of a table for 4096-byte sectors, where blkid would look for it; what a partition holds is not ours to wipe."""
    entries = {3: Entry(100, 199)} | ({1: Entry(8, 15)} if used else {})
    image = Gpt(count=4, entries=entries, mbr_records=bytes(64)).image()
    image[510:512] = bytes(2)
    image[4096 : 4096 + 92] = Gpt(sectors=256, sector_size=4096).header(primary=True)[:92]
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        epochs = disk.write(table.remove(1) if used else table.with_attributes(3, Attributes(4)))
    assert sectors(epochs)[:2] == ([[(0, 1)], [(END - 1, 1), (END, 1)]] if used else [[(8, 1)], [(0, 1)]])
    assert path.read_bytes()[4096:4104] == (b"EFI PART" if used else bytes(8))


@pytest.mark.parametrize("records", [bytes.fromhex("000002000c0102000008000000100000"), b""])
def test_a_hybrid_mbr_and_a_boot_sector_without_partitions_are_left_alone_by_changes(
    path: Path, records: bytes
) -> None:
    gpt = replace(
        GPT, mbr_records=(records + protective(2048)[:16] if records else b"").ljust(64, b"\0"), boot_code=b"\xeb\x63"
    )
    path.write_bytes(gpt.image())
    change(path)
    assert path.read_bytes()[:512] == gpt.mbr()
    with Disk.open(path, write=True) as disk:
        disk.repair()
    expected = gpt.mbr() if records else replace(gpt, mbr_records=protective(2048)).mbr()
    assert path.read_bytes()[:512] == expected


def test_a_partition_table_of_another_system_is_not_replaced_by_repair(path: Path) -> None:
    records = bytes.fromhex("80000200830102000008000000100000").ljust(64, b"\0")
    path.write_bytes(replace(GPT, mbr_records=records).image())
    with Disk.open(path, write=True) as disk:
        disk.repair()
    assert path.read_bytes()[446:510] == records


@pytest.mark.parametrize("act", [repair, change])
def test_boot_code_and_disk_signature_stay_when_the_backup_moves(path: Path, act: Callable[[Path], object]) -> None:
    image = replace(GPT, boot_code=bytes(range(1, 224)) * 2).image()
    path.write_bytes(bytes(image) + bytes(512 * 512))
    act(path)
    after = path.read_bytes()
    assert after[:446] == image[:446]
    assert after[446:510] == protective(2560)


@pytest.mark.parametrize("act", [repair, change])
def test_a_hybrid_mbr_stays_when_the_backup_moves(path: Path, act: Callable[[Path], object]) -> None:
    records = protective(2048)[:16] + bytes.fromhex("800002000c0000006400000064000000").ljust(48, b"\0")
    image = replace(GPT, mbr_records=records).image()
    path.write_bytes(bytes(image) + bytes(512 * 512))
    act(path)
    assert path.read_bytes()[:512] == image[:512]


# What `parted disk_set pmbr_boot on` writes for 2048 sectors, and the trick of those whose BIOS wants an active partition
# that is not the protective one: an empty record with the flag.
PMBR_BOOT = bytes.fromhex("80000200eeffffff01000000ff070000").ljust(64, b"\0")
ACTIVE_BESIDE = bytes.fromhex("00000100eefeffff01000000ff07000080000000000000000000000001000000").ljust(64, b"\0")
ACTIVE_BEFORE = ACTIVE_BESIDE[16:32] + ACTIVE_BESIDE[:16] + bytes(32)
# The size and end of a disk of 2560 sectors, as `sgdisk -e` writes them.
GROWN = bytes.fromhex("28280001000000ff090000")


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (PMBR_BOOT, PMBR_BOOT[:5] + GROWN + PMBR_BOOT[16:]),
        (ACTIVE_BESIDE, ACTIVE_BESIDE[:5] + GROWN + ACTIVE_BESIDE[16:]),
        (ACTIVE_BEFORE, ACTIVE_BEFORE[:21] + GROWN + ACTIVE_BEFORE[32:]),
    ],
    ids=["pmbr_boot", "active record beside it", "active record before it"],
)
@pytest.mark.parametrize("act", [repair, change])
def test_what_a_bios_needs_of_the_records_stays_when_the_backup_moves(
    path: Path, act: Callable[[Path], object], records: bytes, expected: bytes
) -> None:
    path.write_bytes(bytes(replace(GPT, mbr_records=records).image()) + bytes(512 * 512))
    act(path)
    assert path.read_bytes()[446:512] == expected + b"\x55\xaa"


def test_creation_keeps_the_flag_that_the_boot_code_is_started_for(path: Path) -> None:
    path.write_bytes(replace(GPT, mbr_records=PMBR_BOOT, boot_code=b"\xeb\x63").image())
    assert main(["create", str(path)]) == 0
    mbr = path.read_bytes()[:512]
    assert (mbr[:2], mbr[446:451]) == (b"\xeb\x63", PMBR_BOOT[:5])


def test_a_new_protective_mbr_is_as_that_of_cgpt(path: Path) -> None:
    records = []
    for program in ("gptctl", "cgpt"):
        path.write_bytes(replace(GPT, mbr_records=ACTIVE_BEFORE).image())
        tool(program, "boot", "-p", path)
        records.append(path.read_bytes()[440:512])
    # The end in CHS is the real one in ours.
    assert records[0][:11] + records[0][14:] == records[1][:11] + records[1][14:]


@pytest.mark.parametrize(
    ("records", "expected"),
    [(PMBR_BOOT, PMBR_BOOT[:5] + GROWN + PMBR_BOOT[16:]), (PMBR_BOOT[:16] + b"\x80\0\2\0\x0c" + bytes(43), None)],
    ids=["protective", "hybrid"],
)
def test_a_dump_for_another_size_keeps_what_its_mbr_holds(path: Path, records: bytes, expected: bytes | None) -> None:
    """A hybrid MBR is not made over for another size: where its partitions are to be is not ours to know."""
    path.write_bytes(replace(GPT, mbr_records=records).image())
    dump = path.with_name("disk.dump")
    dump.write_text(tool("gptctl", "dump", path))
    blank(path, 2560)
    tool("gptctl", "restore", "--fit", dump, path)
    assert path.read_bytes()[446:510] == (expected or records)


def test_the_size_of_a_protective_record_is_read_in_whatever_place_it_has(path: Path) -> None:
    records = bytes(16) + bytes.fromhex("00000200eeffffff0100000005000000") + bytes(32)
    path.write_bytes(replace(GPT, mbr_records=records).image())
    with Disk.open(path) as disk:
        assert [str(finding) for finding in disk.read().findings] == [
            "note: mbr: the protective MBR covers 5 sectors; expected 2047"
        ]


def test_creation_keeps_the_disk_signature(path: Path) -> None:
    image = replace(GPT, boot_code=bytes(440) + b"SIGN").image()
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        disk.create(Table.new(total_sectors=2048))
    assert path.read_bytes()[440:444] == b"SIGN"


def test_an_mbr_that_cannot_be_read_is_left_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its boot code would be lost."""
    path.write_bytes(zeroed(replace(GPT, boot_code=b"precious").image(), 1))
    read = FileDevice.read

    def failing(device: FileDevice, offset: int, length: int) -> bytes:
        if offset < 512:
            raise ReadError(device.path, offset, length, "Input/output error")
        return read(device, offset, length)

    monkeypatch.setattr(FileDevice, "read", failing)
    with Disk.open(path, write=True) as disk:
        assert "warning: mbr: the MBR in sector 0 cannot be read; it is left as it is" in map(str, disk.read().findings)
        disk.repair()
        assert [finding.where for finding in disk.read().findings] == ["mbr"]
    assert main(["boot", "-i", "3", str(path)]) == 1
    monkeypatch.undo()
    assert path.read_bytes() == replace(GPT, boot_code=b"precious").image()


def test_a_disk_is_one_of_its_old_kind_until_it_has_a_gpt(ram: Path) -> None:
    """A protective MBR before the table would be a disk without partitions after a power cut."""
    path = blank(ram / "dos.img", 2048)
    tool("sfdisk", "-q", "--no-reread", path, text="label: dos\nstart=64,size=1000\n")
    image = path.read_bytes()
    with recorded() as recording, Disk.open(path, write=True) as disk:
        disk.create(Table.new(total_sectors=2048).add(Partition(type_guid("efi"), Guid.random(), 64, 1063)))
    states = list(crash_states(image, recording.finish(), exhaustive=False))
    seen = set()
    for state in states:
        path.write_bytes(state)
        number = run("blkid", "-p", "-s", "PTTYPE", "-o", "value", path).stdout.strip()
        seen.add((number, len(run("partx", "-o", "NR", "-g", path).stdout.split())))
    assert len(states) > 4
    assert seen == {("dos", 1), ("gpt", 1)}


def test_an_mbr_is_written_whole_and_only_when_it_changes(path: Path) -> None:
    mbr = path.read_bytes()[:512]
    with Disk.open(path, write=True) as disk:
        assert write_mbr(disk, mbr) == []
        assert sectors(write_mbr(disk, b"code" + mbr[4:])) == [[(0, 1)]]
        with pytest.raises(InvalidValueError, match="an MBR has 512 bytes, not 10"):
            write_mbr(disk, bytes(10))
