"""Where one copy must be left alone, the other one is changed without a moment in which the disk has no table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gptlib.write.salvage
from gptlib import Disk, TableError
from gptlib.table.structures import BACKUP, PRIMARY
from gptlib.write.single_copy import plan_single
from tests.gptlib.crash.explorer import READERS, Exploration, explore, view
from tests.gptlib.crash.test_crash import Operation, run_recorded
from tests.gptlib.oracle import Ground, Write, changed_sectors, layout_of
from tests.gptlib.readers import tool
from tests.gptlib.tables import FULL, blank
from tests.gptlib.writing import sectors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gptlib.write.plan import Region
    from tests.gptlib.crash.recording import Sector

SECTORS = 4096
USR = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
LOADER = b"SPL of a board  " * 32
GRUB_LEAST = 128
"""GRUB takes no array of less than 16 KiB, which is so many entries of 128 bytes; ChromeOS's cgpt takes no other number."""


def two_slots(path: Path, *, entries: int = 128) -> None:
    """USR-A 1/0/1 and USR-B 2/3/0 in a table of sgdisk."""
    words = ["-S", entries, "-n", "1:1024:1535", "-n", "2:1536:2047", "-c", "1:USR-A", "-c", "2:USR-B"]
    bits = [(1, 48), (1, 56), (2, 49), (2, 52), (2, 53)]
    words += [word for number, bit in bits for word in ("-A", f"{number}:set:{bit}")]
    tool("sgdisk", "-a", 1, *words, "-t", f"1:{USR}", "-t", f"2:{USR}", blank(path, SECTORS))


def put(path: Path, sector: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(sector * 512)
        file.write(data)


def loader_in_the_unused_part(path: Path) -> None:
    two_slots(path)
    put(path, 16, LOADER * 18)


def loader_in_the_place_of_a_lost_primary(path: Path) -> None:
    two_slots(path)
    put(path, 1, bytes(512))
    put(path, 2, LOADER * 32)


def loader_in_a_large_array(path: Path) -> None:
    two_slots(path, entries=256)
    put(path, 34, LOADER * 30)


def loader_in_the_place_of_a_large_primary(path: Path) -> None:
    two_slots(path, entries=256)
    put(path, 1, bytes(512))
    put(path, 34, LOADER * 30)


def loader_behind_two_sectors_of_a_lost_primary(path: Path) -> None:
    two_slots(path, entries=56)
    put(path, 1, bytes(512 * 3))
    put(path, 4, LOADER * 60)


def data_in_the_place_of_the_backup(path: Path) -> None:
    two_slots(path)
    put(path, SECTORS - 20, b"firmware update " * 32 * 20)


# What is wrong, the copy that can be written, and how many entries the table has.
DISKS: dict[str, tuple[Callable[[Path], None], str, int]] = {
    "a boot loader in the unused part of the primary array": (loader_in_the_unused_part, BACKUP, 128),
    "a boot loader in the place of a lost primary": (loader_in_the_place_of_a_lost_primary, BACKUP, 128),
    "a boot loader in an array of 256 entries": (loader_in_a_large_array, BACKUP, 256),
    "a boot loader in the place of a lost primary of 256 entries": (
        loader_in_the_place_of_a_large_primary,
        BACKUP,
        256,
    ),
    "a boot loader in the place of a lost primary of 56 entries": (
        loader_behind_two_sectors_of_a_lost_primary,
        BACKUP,
        56,
    ),
    "data in the place of a lost backup": (data_in_the_place_of_the_backup, PRIMARY, 128),
}
CHANGES = {
    "select": ("bootselect", "next"),
    "mark good": ("bootselect", "mark-good", "--slot", "USR-B"),
    "prioritize": ("bootselect", "prioritize", "--slot", "USR-A"),
    "add": ("gptctl", "add", "-b", "3000", "-s", "8", "-t", "data", "-l", "more"),
    "remove": ("gptctl", "add", "-i", "1", "-t", "unused"),
    "change the disk GUID": ("gptctl", "edit", "-u", "01234567-89AB-CDEF-0123-456789ABCDEF"),
}


def is_foreign(sector: bytes) -> bool:
    return sector in {LOADER, b"firmware update " * 32}


def blind(image: bytes, entries: int) -> set[str]:
    """The readers that may see no table in between: those that want more entries than half an array has.

    GRUB wants the header of the backup to be that of the primary, where that is valid.
    """
    layout = layout_of(image, 512)
    assert layout is not None
    whole_headers = layout.primary.header is not None and layout.backup.header is not None
    return {"cgpt", "coreos-next"} | ({"grub"} if entries // 2 < GRUB_LEAST or whole_headers else set())


def explored(path: Path, command: tuple[str, ...]) -> tuple[bytes, list[list[Sector]], Exploration]:
    before = path.read_bytes()
    epochs = run_recorded(path, Operation((), (command,)), Ground(is_foreign))
    return before, epochs, explore(path, before, epochs, exhaustive=FULL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("disk", "change"),
    [
        (disk, change)
        for disk in DISKS
        for change in CHANGES
        if FULL or change == "select" or disk == "data in the place of a lost backup"
    ],
)
def test_every_reader_sees_the_old_or_the_new_table(
    ram: Path, record_property: Callable[[str, object], None], disk: str, change: str
) -> None:
    path, (make, written, entries) = ram / "disk.img", DISKS[disk]
    make(path)
    before, epochs, found = explored(path, CHANGES[change])
    after = path.read_bytes()
    record_property("counted", f"{change} with {disk}: {found.states} crash states in {len(epochs)} flush epochs")
    assert set(found.violations) <= set(found.blindness)
    assert {line.split(": ")[1].split()[0] for line in found.blindness} <= blind(before, entries)
    for name in READERS:
        old, new = view(name, path, before), view(name, path, after)
        assert (new is None) == (old is None), name
        # CoreOS's prints its choice alone.
        assert new != old or new is None or name == "coreos-next" or change == "change the disk GUID", name
    _check_places(before, epochs, written)


def _check_places(before: bytes, epochs: Sequence[Sequence[Sector]], written: str) -> None:
    """Nothing changes outside of that copy, but for a valid header of the other one, even in between."""
    writes = [Write(sector.lba * 512, sector.data) for epoch in epochs for sector in epoch]
    layout = layout_of(before, 512)
    assert layout is not None
    copy, other = (layout.primary, layout.backup) if written == PRIMARY else (layout.backup, layout.primary)
    assert copy.header is not None
    own = {copy.lba, *copy.header.array(512)}
    kept_in_line = {other.lba} if other.header is not None else set()
    assert changed_sectors(before, writes, 512) <= own | kept_in_line


def test_an_attribute_costs_eight_flushes(ram: Path) -> None:
    """Header, second half, header, first half, header, second half, the valid header of the other copy, header."""
    path = ram / "disk.img"
    loader_in_the_unused_part(path)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        epochs = disk.write(table.with_attributes(1, table.partition(1).attributes.with_slot(priority=9)))
    half, end = SECTORS - 17, SECTORS - 1
    assert sectors(epochs) == [[(at, 1)] for at in (end, half, end, half - 16, end, half, 1, end)]


def test_what_was_left_alone_is_told(ram: Path) -> None:
    path = ram / "disk.img"
    loader_in_the_unused_part(path)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        disk.write(table.with_attributes(1, table.partition(1).attributes.with_slot(priority=9)))
        (notice,) = disk.notices
    assert notice.startswith("primary: sector 16 holds something that is not part of a table; this copy is left alone")


@pytest.mark.slow
def test_a_table_that_needs_more_than_half_of_its_array_is_not_changed(
    ram: Path, gptctl: Callable[..., tuple[int, str, str]]
) -> None:
    path = ram / "disk.img"
    two_slots(path)
    tool("sgdisk", "-a", 1, "-n", "65:3000:3007", path)
    put(path, 26, LOADER * 8)
    before = path.read_bytes()
    code, _, err = gptctl("add", "-i", 1, "-P", 9, path)
    assert code == 1
    assert "only the backup can be written, and its array of 128 entries has no room to change it" in err
    assert "entries up to number 64 at most" in err
    assert path.read_bytes() == before


def test_an_array_of_one_sector_has_no_halves(ram: Path, gptctl: Callable[..., tuple[int, str, str]]) -> None:
    path = ram / "disk.img"
    script = f"label: gpt\ntable-length: 4\nfirst-lba: 64\n1: start=1024, size=512, type={USR}\n"
    tool("sfdisk", "-q", "--no-tell-kernel", "--no-reread", blank(path, SECTORS), text=script)
    put(path, 1, bytes(512))
    put(path, 2, LOADER * 70)
    before = path.read_bytes()
    code, _, err = gptctl("add", "-i", 1, "-P", 9, path)
    assert (code, "entries up to number 0 at most" in err) == (1, True)
    assert path.read_bytes() == before


def test_the_copy_that_is_written_cannot_move(ram: Path) -> None:
    path = ram / "disk.img"
    two_slots(path)
    with Disk.open(path) as disk:
        table = disk.table()
    for moved in (
        table._replace(backup_entries_lba=3000),
        table._replace(backup_lba=3999),
        table.relocate(SECTORS - 8),
    ):
        with pytest.raises(TableError, match="it cannot move; nothing was written"):
            plan_single("disk", table, moved, BACKUP)


Steps = list[list["Region"]]


def header_last(steps: Steps) -> Steps:
    """The usual way: entries, then the header that names them."""
    return [steps[3], steps[-1]]


def without_the_switch(steps: Steps) -> Steps:
    return steps[:2] + steps[3:]


def without_the_first_header(steps: Steps) -> Steps:
    return steps[1:]


@pytest.mark.slow
@pytest.mark.parametrize("order", [header_last, without_the_switch, without_the_first_header])
def test_the_explorer_notices_a_step_that_is_missing(
    ram: Path, monkeypatch: pytest.MonkeyPatch, order: Callable[[Steps], Steps]
) -> None:
    path = ram / "disk.img"
    loader_in_a_large_array(path)

    def wrong(*arguments: object) -> Steps:
        return order(plan_single(*arguments))  # type: ignore[arg-type]

    monkeypatch.setattr(gptlib.write.salvage, "plan_single", wrong)
    _, _, found = explored(path, CHANGES["prioritize"])
    assert {line.split(": ")[1].split()[0] for line in found.violations} >= {"sfdisk", "blkid"}


@pytest.mark.slow
def test_the_explorer_notices_a_missing_flush(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = ram / "disk.img"
    loader_in_a_large_array(path)
    monkeypatch.setattr("gptlib.linux.device.FileDevice.flush", lambda _: None)
    _, _, found = explored(path, CHANGES["prioritize"])
    assert found.violations


@pytest.mark.slow
def test_the_explorer_notices_a_header_that_is_not_kept_in_line(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GRUB takes a backup only where the valid header of the primary says the same."""
    path = ram / "disk.img"
    loader_in_a_large_array(path)
    monkeypatch.setattr("gptlib.write.salvage._kept_in_line", lambda *_: [])
    explored(path, CHANGES["prioritize"])
    assert READERS["grub"](path) is None
