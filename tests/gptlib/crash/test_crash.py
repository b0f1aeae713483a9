"""After a power cut at any point of any operation, every reader sees the old table or the new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

import gptlib.write.plan
from bootselect.cli.main import main as bootselect
from gptlib import Attributes, Disk, Guid, Partition, type_guid
from gptlib.cli.main import main as gptctl
from gptlib.dump import Dump, dump_text
from gptlib.table.mbr import protective_mbr
from tests.gptlib.crash.explorer import READERS, apply, crash_states, explore
from tests.gptlib.crash.recording import Sector, recorded
from tests.gptlib.oracle import Ground, Write
from tests.gptlib.tables import FULL, blank, make_with_cgpt, make_with_sfdisk, table_of
from tests.gptlib.verdict import ASKED, AUTOMATIC, ERASING, LEGACY, MBR, Case, check_writes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gptlib import Table
    from gptlib.write.plan import Region

SECTORS = 2048
USR, KERNEL = type_guid("coreos-usr"), type_guid("kernel")
SLOTS = {
    1: Partition(type_guid("efi"), Guid(b"1" * 16), 40, 99, Attributes(4), "EFI-SYSTEM"),
    3: Partition(USR, Guid(b"3" * 16), 128, 511, Attributes(0).with_slot(priority=1, successful=True), "USR-A"),
    4: Partition(USR, Guid(b"4" * 16), 512, 895, Attributes(0).with_slot(priority=2, tries=3), "USR-B"),
    77: Partition(KERNEL, Guid(b"7" * 16), 1000, 1063, Attributes(0).with_slot(priority=5, tries=1), "KERN"),
}
FULL_ARRAY = {
    number: Partition(
        USR, Guid(bytes([number]) * 16), 40 + 8 * number, 47 + 8 * number, Attributes(number << 48), f"P{number}"
    )
    for number in range(1, 129)
}
# Sectors of the parts: the MBR (M0), headers, the first and the last sector of the arrays that hold something.
M0, H1, E1, E1_END = 0, 1, 2, 2 + 19
H2, E2, E2_END = SECTORS - 1, SECTORS - 33, SECTORS - 33 + 19


class Operation(NamedTuple):
    """Something that changes a disk: the sectors that are zeroed before, its size and entries before, and the commands."""

    zeroed: tuple[int, ...]
    commands: tuple[tuple[str, ...], ...]
    grown_by: int = 0
    table: bool = True
    entries: int = 128


NOTHING_FOREIGN = Ground(lambda _: False)
OPERATIONS = {
    "create on an empty disk": Operation((), (("gptctl", "create"),), table=False),
    "create over a table": Operation((), (("gptctl", "create"),)),
    "create with padding over a table": Operation((), (("gptctl", "create", "-p", "16"),)),
    "create over a damaged table": Operation((H1, E1), (("gptctl", "create"),)),
    "create over a lost backup header": Operation((H2,), (("gptctl", "create"),)),
    "create over a combined table": Operation((E1, H2), (("gptctl", "create"),)),
    "create over 5 entries": Operation((), (("gptctl", "create"),), entries=5),
    "create over 64 entries": Operation((), (("gptctl", "create"),), entries=64),
    "create over 256 entries": Operation((), (("gptctl", "create"),), entries=256),
    "create on an image that it makes longer": Operation((), (("gptctl", "create", "-s", "4096"),)),
    "leave the legacy mode": Operation((), (("gptctl", "legacy"), ("gptctl", "legacy", "-e"))),
    "mark a partition for booting": Operation((), (("gptctl", "boot", "-i", "3"),)),
    "erase": Operation((), (("gptctl", "create", "-z"),)),
    "add a partition": Operation((), (("gptctl", "add", "-i", "5", "-b", "1100", "-s", "8", "-t", "data"),)),
    "add a partition far away in the array": Operation(
        (), (("gptctl", "add", "-i", "128", "-b", "1100", "-s", "8", "-t", "data", "-l", "last"),)
    ),
    "remove a partition": Operation((), (("gptctl", "add", "-i", "4", "-t", "unused"),)),
    "move and relabel": Operation((), (("gptctl", "add", "-i", "4", "-b", "600", "-s", "100", "-l", "moved"),)),
    "prioritize": Operation((), (("gptctl", "prioritize", "-i", "3"),)),
    "next": Operation((), (("gptctl", "next"),)),
    "next of bootselect": Operation((), (("bootselect", "next"),)),
    "mark good": Operation((), (("bootselect", "mark-good", "--slot", "USR-B"),)),
    "mark bad": Operation((), (("bootselect", "mark-bad", "--slot", "USR-B"),)),
    "arm": Operation((), (("bootselect", "arm", "--slot", "USR-B", "--tries", "5"),)),
    "resize": Operation((), (("gptctl", "resize", "-i", "77", "-m", "1"),)),
    "change the disk GUID": Operation((), (("gptctl", "edit", "-u", str(Guid(b"G" * 16))),)),
    "restore 128 partitions over a table": Operation((), (("gptctl", "restore", "full.dump"),)),
    "the life of an update": Operation(
        (),
        (
            ("bootselect", "mark-bad", "--slot", "USR-B"),
            ("bootselect", "arm", "--slot", "USR-B"),
            ("bootselect", "next"),
            ("bootselect", "mark-good", "--slot", "USR-B"),
        ),
    ),
    "repair a lost primary": Operation((H1, E1, E1_END), (("gptctl", "repair"),)),
    "repair a lost backup": Operation((H2, E2, E2_END), (("gptctl", "repair"),)),
    "repair a torn primary array": Operation((E1,), (("gptctl", "repair"),)),
    "repair both headers good, both arrays torn apart": Operation((E1_END, H2), (("gptctl", "repair"),)),
    "combine the primary header with the backup's entries": Operation((E1, H2), (("gptctl", "repair"),)),
    "combine the backup header with the primary's entries": Operation((H1, E2), (("gptctl", "repair"),)),
    "next with a lost primary": Operation((H1, E1), (("gptctl", "next"),)),
    "next with a lost backup": Operation((H2,), (("gptctl", "next"),)),
    "next with a combined table": Operation((E1, H2), (("gptctl", "next"),)),
    "mark good with a lost primary array": Operation((E1,), (("bootselect", "mark-good", "--slot", "4"),)),
    "relocate the backup of a grown disk": Operation((), (("gptctl", "repair"),), grown_by=512),
    "relocate after the primary was lost and found": Operation((E1,), (("gptctl", "repair"),), grown_by=512),
    "resize into a grown disk": Operation((), (("gptctl", "resize", "-i", "77"),), grown_by=8192),
    "next on a disk that was cut off": Operation((), (("gptctl", "next"),), grown_by=-700),
    "next on a grown disk": Operation((), (("gptctl", "next"),), grown_by=64),
    "add without an MBR": Operation((M0,), (("gptctl", "add", "-i", "5", "-b", "1100", "-s", "8", "-t", "data"),)),
    "remove without an MBR": Operation((M0,), (("gptctl", "add", "-i", "4", "-t", "unused"),)),
    "prioritize without an MBR": Operation((M0,), (("gptctl", "prioritize", "-i", "3"),)),
    "next without an MBR": Operation((M0,), (("gptctl", "next"),)),
    "next of bootselect without an MBR": Operation((M0,), (("bootselect", "next"),)),
    "mark good without an MBR": Operation((M0,), (("bootselect", "mark-good", "--slot", "USR-B"),)),
    "repair a lost start of the disk": Operation((M0, H1, E1, E1_END), (("gptctl", "repair"),)),
    "next with a lost start of the disk": Operation((M0, H1, E1, E1_END), (("gptctl", "next"),)),
    "next without an MBR and backup": Operation((M0, H2, E2), (("gptctl", "next"),)),
    "next with a combined table without an MBR": Operation((M0, E1, H2), (("gptctl", "next"),)),
    "next on a grown disk without an MBR": Operation((M0,), (("gptctl", "next"),), grown_by=64),
    "resize into a grown disk without an MBR": Operation((M0,), (("gptctl", "resize", "-i", "77"),), grown_by=8192),
    "next on a disk that was cut off without an MBR": Operation((M0,), (("gptctl", "next"),), grown_by=-700),
    "repair a grown disk without an MBR": Operation((M0,), (("gptctl", "repair"),), grown_by=512),
}


if FULL:
    OPERATIONS["restore 128 partitions over a lost primary"] = Operation(
        (H1, E1), (("gptctl", "restore", "full.dump"),)
    )
    OPERATIONS["restore 128 partitions into a combined table"] = Operation(
        (E1, H2), (("gptctl", "restore", "full.dump"),)
    )


def prepared(path: Path, operation: Operation) -> tuple[bytes, bytes]:
    """The image before the operation, and without the damage."""
    blank(path, SECTORS)
    if operation.table:
        with Disk.open(path, write=True) as disk:
            count = operation.entries
            fitting = {n: slot for n, slot in SLOTS.items() if n <= count and slot.first_lba >= 2 + count // 4}
            disk.create(table_of(fitting, sectors=SECTORS, entries=count))
    undamaged = path.read_bytes()
    image = bytearray(undamaged)
    for sector in operation.zeroed:
        image[sector * 512 : (sector + 1) * 512] = bytes(512)
    if operation.grown_by < 0:
        del image[operation.grown_by * 512 :]
    image += bytes(max(operation.grown_by, 0) * 512)
    path.write_bytes(image)
    return bytes(image), undamaged


def run_recorded(path: Path, operation: Operation, ground: Ground = NOTHING_FOREIGN) -> list[list[Sector]]:
    """Run the commands; every sector that was written, by flush epochs."""
    before = path.read_bytes()
    path.with_name("full.dump").write_text(
        dump_text(Dump(table_of(FULL_ARRAY, sectors=SECTORS), protective_mbr(b"", SECTORS)))
    )
    with recorded() as recording:
        for program, *words in operation.commands:
            if program == "gptctl":
                resolved = [str(path.with_name(word)) if word.endswith(".dump") else word for word in words]
                assert gptctl([*resolved, str(path)]) == 0
            else:
                result = CliRunner().invoke(bootselect, [words[0], str(path), *words[1:]])
                assert result.exit_code == 0, result.output
    epochs = recording.finish()
    after = bytearray(before)
    for epoch in epochs:
        apply(after, epoch)
    assert after == path.read_bytes(), "the disk was written in another way than the explorer records"
    if len(operation.commands) == 1:
        # Whatever part of this reaches the disk is in the places that the rule gives to the table.
        writes = [Write(sector.lba * 512, sector.data) for epoch in epochs for sector in epoch]
        check_writes(Case(before, 512, ground), kind_of(*operation.commands[0]), writes, bytes(after))
    return epochs


def kind_of(program: str, command: str, *words: str) -> str:
    """Which part of the rule a command comes under."""
    if program == "bootselect" or command not in {"create", "restore", "legacy", "boot"}:
        return AUTOMATIC
    return ERASING if "-z" in words else {"legacy": LEGACY, "boot": MBR}.get(command, ASKED)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_power_cut_leaves_the_old_or_the_new_table(
    ram: Path, record_property: Callable[[str, object], None], name: str
) -> None:
    path, operation = ram / "disk.img", OPERATIONS[name]
    before, undamaged = prepared(path, operation)
    epochs = run_recorded(path, operation)
    if len(operation.commands) == 1:
        found = explore(path, before, epochs, exhaustive=FULL, undamaged=undamaged)
        record_property("counted", f"{name}: {found.states} crash states in {len(epochs)} flush epochs")
        assert found.violations == []
        assert found.states > 1
        if name != "erase":
            assert found.blind == set(), "the new table is not seen by"
        return
    # Of several commands each has its own old and new: every pair of neighbours is explored on its own.
    states = explore_each(path, before, operation)
    record_property("counted", f"{name}: {states} crash states")


def explore_each(path: Path, before: bytes, operation: Operation) -> int:
    states = 0
    for command in operation.commands:
        path.write_bytes(before)
        epochs = run_recorded(path, operation._replace(commands=(command,)))
        after = path.read_bytes()
        found = explore(path, before, epochs, exhaustive=FULL)
        assert found.violations == [], command
        assert found.states > 1
        states, before = states + found.states, after
    return states


def test_a_cut_while_a_cut_is_being_repaired_leaves_the_old_or_the_new_table(
    ram: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two power cuts: one in the middle of a change, one in the middle of the repair of what it left."""
    path, operation = ram / "disk.img", OPERATIONS["prioritize"]
    before, _ = prepared(path, operation)
    first = run_recorded(path, operation)
    states = 0
    for image in crash_states(before, first, exhaustive=FULL):
        path.write_bytes(image)
        epochs = run_recorded(path, Operation((), (("gptctl", "repair"),)))
        found = explore(path, image, epochs, exhaustive=FULL)
        assert found.violations == []
        states += found.states
    assert states > 6
    record_property("counted", f"repair of a half-done change: {states} crash states")


@pytest.mark.parametrize("maker", [make_with_cgpt, make_with_sfdisk])
def test_tables_of_other_tools_are_changed_safely_too(
    ram: Path, record_property: Callable[[str, object], None], maker: Callable[[Path, dict[int, Partition]], None]
) -> None:
    path = ram / "disk.img"
    maker(path, SLOTS)
    before = path.read_bytes()
    epochs = run_recorded(path, OPERATIONS["next"])
    found = explore(path, before, epochs, exhaustive=FULL)
    assert found.states == 6
    record_property("counted", f"next on a table of {maker.__name__.rpartition('_')[2]}: {found.states} crash states")
    assert found.violations == []


# Orders that somebody might think of, and the readers that cannot live with them.
Regions = list[list["Region"]]


def primary_first(regions: Regions) -> Regions:
    backup, header, entries = regions
    return [header, entries, backup]


def headers_first(regions: Regions) -> Regions:
    (backup_entries, backup_header), header, entries = regions
    return [[backup_header], header, [backup_entries], entries]


def entries_before_header(regions: Regions) -> Regions:
    backup, header, entries = regions
    return [backup, entries, header]


def no_flush(regions: Regions) -> Regions:
    return [[region for epoch in regions for region in epoch]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("order", "victims"),
    [
        (primary_first, {"grub"}),
        # sgdisk shows the entries even where no header names their CRC.
        (headers_first, set(READERS) - {"sgdisk"}),
        (entries_before_header, {"grub"}),
        (no_flush, set(READERS) - {"sgdisk"}),
    ],
)
def test_the_explorer_notices_a_wrong_order_of_writes(
    ram: Path, monkeypatch: pytest.MonkeyPatch, order: Callable[[Regions], Regions], victims: set[str]
) -> None:
    regions = gptlib.write.plan.copy_regions
    path, operation = ram / "disk.img", OPERATIONS["prioritize"]
    before, _ = prepared(path, operation)

    def wrong(table: Table, ignored: Sequence[str] = (), *, apart: bool = False) -> Regions:
        return order(regions(table, ignored, apart=apart))

    monkeypatch.setattr(gptlib.write.plan, "copy_regions", wrong)
    epochs = run_recorded(path, operation)
    found = explore(path, before, epochs, exhaustive=True)
    assert {violation.split(": ")[1].split()[0] for violation in found.violations} == victims


def test_the_explorer_notices_that_an_mbr_comes_too_late(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader but sgdisk looks at the copies alone, and it does so only as long as both are whole."""
    plan = gptlib.write.plan.plan_write
    monkeypatch.setattr(
        "gptlib.write.table.plan_write", lambda *args, **named: plan(*args, **{**named, "mbr_first": False})
    )
    path, operation = ram / "disk.img", OPERATIONS["next without an MBR"]
    before, undamaged = prepared(path, operation)
    epochs = run_recorded(path, operation)
    found = explore(path, before, epochs, exhaustive=True, undamaged=undamaged)
    assert {violation.split(": ")[1].split()[0] for violation in found.violations} == {"sgdisk"}


def test_the_explorer_notices_a_missing_flush(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, operation = ram / "disk.img", OPERATIONS["prioritize"]
    before, _ = prepared(path, operation)
    monkeypatch.setattr("gptlib.linux.device.FileDevice.flush", lambda _: None)
    epochs = run_recorded(path, operation)
    assert len(epochs) == 1
    assert explore(path, before, epochs, exhaustive=True).violations
