"""Which disk is written: the one that is named, by whatever name, and only where kernel and table agree on the slot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect.cli.main import main as bootselect
from gptlib.disk import Disk
from gptlib.linux.nodes import NoNodeError
from tests.gptlib.handmade import Entry
from tests.loopdev import loop, needs_loop
from tests.support import run_tool
from tests.update_agent.updates import GOOD, A, B, TwoSlots, refusal, two_slots, updatectl
from update_agent.errors import SlotBusyError
from update_agent.slot.open import open_slot

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = bytes(range(256)) * 10
LAYOUT = two_slots(20)


def disk_in(path: Path, layout: TwoSlots = LAYOUT) -> bytes:
    image = bytes(layout.gpt.image())
    path.write_bytes(image)
    return image


def slot_b(path: Path, layout: TwoSlots = LAYOUT) -> bytes:
    return path.read_bytes()[layout.bytes_of(B)]


def states(target: object) -> list[tuple[int, int, int]]:
    """Priority, tries and successful of A and B, as Debian's cgpt reads them."""
    fields = [
        [run_tool("cgpt", "show", "-i", str(n), flag, str(target)) for flag in ("-P", "-T", "-S")] for n in (A, B)
    ]
    return [(int(one), int(two), int(three)) for one, two, three in fields]


@needs_loop
def test_a_link_whose_name_ends_like_another_is_the_device_that_it_leads_to(
    update: Callable[..., Path], disks: Path, tmp_path: Path
) -> None:
    """B is partition 2, and ``ssd2`` is a link to the whole of another disk: it must not be written."""
    paths = disks / "one.img", disks / "two.img"
    before = [disk_in(path) for path in paths]
    with loop(paths[0], partitions=True) as one, loop(paths[1], partitions=True) as two:
        (tmp_path / "ssd").symlink_to(one)
        (tmp_path / "ssd2").symlink_to(two)
        result = updatectl("install", update(CONTENT), "--target", tmp_path / "ssd", "--slot", "USR-B")
        assert result.exit_code == 0, result.stderr
    assert paths[1].read_bytes() == before[1]
    assert slot_b(paths[0]).startswith(CONTENT)
    assert states(paths[0]) == [(1, 0, 1), (2, 3, 0)]


@needs_loop
@pytest.mark.parametrize("kind", ["link", "link to a link", "node of its own", "link to the slot", "the slot"])
def test_every_name_of_a_device_works(update: Callable[..., Path], disks: Path, tmp_path: Path, kind: str) -> None:
    path = disks / "disk.img"
    disk_in(path)
    with loop(path, partitions=True) as device:
        name = tmp_path / "by-id"
        if kind == "node of its own":
            os.mknod(name, 0o60600, Path(device).stat().st_rdev)
        elif kind == "link to a link":
            (tmp_path / "first").symlink_to(device)
            name.symlink_to("first")
        else:
            name.symlink_to(f"{device}p2" if "slot" in kind else device)
        target: object = f"{device}p2" if kind == "the slot" else name
        slot = () if "slot" in kind else ("--slot", "2")
        result = updatectl("install", update(CONTENT), "--target", target, *slot)
        assert result.exit_code == 0, result.stderr
    assert slot_b(path).startswith(CONTENT)
    assert states(path) == [(1, 0, 1), (2, 3, 0)]


def test_a_link_to_an_image_file_is_the_file(update: Callable[..., Path], disks: Path, tmp_path: Path) -> None:
    path, link = disks / "disk.img", tmp_path / "current"
    disk_in(path)
    link.symlink_to(path)
    assert updatectl("install", update(CONTENT), "--target", link, "--slot", "2").exit_code == 0
    assert link.is_symlink()
    assert slot_b(path).startswith(CONTENT)
    assert states(path) == [(1, 0, 1), (2, 3, 0)]


def test_two_names_of_an_image_file_share_its_lock(update: Callable[..., Path], disks: Path, tmp_path: Path) -> None:
    path, link = disks / "disk.img", tmp_path / "current"
    disk_in(path)
    link.symlink_to(path)
    with Disk.open(path) as disk, open_slot(disk, disk.table(), B):
        said = refusal(updatectl("install", update(CONTENT), "--target", link, "--slot", "2"))
        # The other slot is other bytes: nobody is in the way there.
        open_slot(disk, disk.table(), A).__exit__()
    assert f"{path}: the slot cannot be written now: another installation is writing it" in said
    assert states(path) == [(1, 0, 1), (0, 0, 0)]


@needs_loop
def test_two_installations_into_one_slot_exclude_each_other(update: Callable[..., Path], disks: Path) -> None:
    path = disks / "disk.img"
    before = disk_in(path)
    with loop(path, partitions=True) as device:
        with Disk.open(device) as disk, open_slot(disk, disk.table(), B):
            said = refusal(updatectl("install", update(CONTENT), "--target", device, "--slot", "2"))
        assert f"{device}p2: the slot cannot be written now: it is mounted or in use" in said
    assert path.read_bytes() == before


@needs_loop
def test_a_mounted_slot_is_not_written(update: Callable[..., Path], disks: Path, tmp_path: Path) -> None:
    path, where = disks / "disk.img", tmp_path / "mnt"
    disk_in(path, two_slots(2048))
    where.mkdir()
    with loop(path, partitions=True) as device:
        run_tool("mkfs.ext4", "-q", f"{device}p2")
        run_tool("mount", f"{device}p2", where)
        try:
            assert "it is mounted or in use" in refusal(
                updatectl("install", update(CONTENT), "--target", device, "--slot", "2")
            )
        finally:
            run_tool("umount", where)
        assert states(device) == [(1, 0, 1), (0, 0, 0)]
        assert subprocess.run(["fsck.ext4", "-f", "-n", f"{device}p2"], capture_output=True).returncode == 0


@needs_loop
def test_an_image_that_is_attached_is_written_through_its_device_only(update: Callable[..., Path], disks: Path) -> None:
    path = disks / "disk.img"
    before = disk_in(path)
    with loop(path, partitions=True) as device:
        said = refusal(updatectl("install", update(CONTENT), "--target", path, "--slot", "2"))
        assert f"{path}: the slot cannot be written now: the image is attached as {device}" in said
        assert path.read_bytes() == before
        assert updatectl("install", update(CONTENT), "--target", device, "--slot", "2").exit_code == 0
    assert updatectl("install", update(CONTENT), "--target", path, "--slot", "2").exit_code == 0


@needs_loop
def test_without_a_node_of_the_slot_nothing_is_written(update: Callable[..., Path], disks: Path) -> None:
    path = disks / "disk.img"
    before = disk_in(path)
    with loop(path) as device:
        said = refusal(updatectl("install", update(CONTENT), "--target", device, "--slot", "2"))
        assert f"{device}: the kernel has no node for partition 2 (it shows no such partition of this disk)" in said
        assert path.read_bytes() == before
        run_tool("partx", "--update", device)
        assert updatectl("install", update(CONTENT), "--target", device, "--slot", "2").exit_code == 0


@needs_loop
@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, -1), (1, 1), (-1, -1), (1, 0), (-1, 0), (0, 30)])
def test_where_kernel_and_table_differ_nothing_is_written(
    update: Callable[..., Path], disks: Path, sector_size: int, first: int, last: int
) -> None:
    """Another tool has changed the table and did not tell the kernel, or could not, as a partition was mounted."""
    layout, path = two_slots(20, sector_size), disks / "disk.img"
    old = layout.gpt.entries[B]
    shifted = layout.gpt.entries | {B: replace(old, first=old.first + first, last=old.last + last)}
    shifted = shifted | {A: replace(shifted[A], last=shifted[A].last - 1), 3: Entry(old.last + 31, old.last + 40)}
    other = TwoSlots(replace(layout.gpt, entries=shifted))
    disk_in(path, layout)
    with loop(path, "--sector-size", str(sector_size), partitions=True) as device:
        with Path(device).open("r+b") as file:
            file.write(other.gpt.image())
        before = path.read_bytes()
        said = refusal(updatectl("install", update(CONTENT), "--target", device, "--slot", "2"))
        in_table = f"partition 2 is sectors {old.first + first} to {old.last + last} in the table"
        assert f"{device}: {in_table}, but the kernel has it as sectors {old.first} to {old.last}" in said
        assert path.read_bytes() == before
        run_tool("partx", "--delete", device)
        run_tool("partx", "--add", device)
        assert updatectl("install", update(CONTENT), "--target", device, "--slot", "2").exit_code == 0
    assert slot_b(path, other).startswith(CONTENT)


@needs_loop
def test_a_node_that_is_another_device_is_not_opened(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is what its numbers say: of two that were swapped, none is written."""
    path = disks / "disk.img"
    disk_in(path)
    with loop(path, partitions=True) as device, Disk.open(device) as disk:
        dev = disks / "dev"
        dev.mkdir()
        name = Path(device).name
        os.mknod(dev / f"{name}p2", 0o60600, Path(f"{device}p1").stat().st_rdev)
        monkeypatch.setattr(
            "gptlib.linux.nodes.partition_node.__kwdefaults__", {"sysfs": "/sys/dev/block", "dev": str(dev)}
        )
        with pytest.raises(NoNodeError, match=f"{dev}/{name}p2 is not it"):
            open_slot(disk, disk.table(), B)


OVERLAPS = {
    "B begins in A": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(2147, 2200, "USR-B")}, "overlaps partition 1"),
    "B is inside A": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(2100, 2120, "USR-B")}, "overlaps partition 1"),
    "A is inside B": ({A: Entry(2100, 2120, "USR-A", GOOD), B: Entry(2048, 2147, "USR-B")}, "overlaps partition 2"),
    "B begins in the array": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(30, 60, "USR-B")}, "leaves the usable"),
    "B is the backup": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(2186, 2250, "USR-B")}, "leaves the usable"),
    "B is beyond the end": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(2180, 9999, "USR-B")}, "leaves the disk"),
    "B ends before it starts": ({A: Entry(2048, 2147, "USR-A", GOOD), B: Entry(2180, 2170, "USR-B")}, "before it"),
    "B is the twin of A": (
        {
            A: Entry(2048, 2147, "USR-A", GOOD, guid=LAYOUT.gpt.entries[A].guid),
            B: Entry(2148, 2167, "USR-B", guid=LAYOUT.gpt.entries[A].guid),
        },
        "have the same GUID",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", OVERLAPS)
def test_a_slot_in_a_place_that_verify_calls_broken_is_neither_written_nor_armed(
    update: Callable[..., Path], disks: Path, case: str
) -> None:
    entries, message = OVERLAPS[case]
    path = disks / "disk.img"
    before = disk_in(path, TwoSlots(replace(LAYOUT.gpt, entries=entries)))
    for words in (["install", update(CONTENT)], ["install", update(CONTENT), "--json"]):
        said = refusal(updatectl(*words, "--target", path, "--slot", "USR-B"))
        assert said.startswith(f"updatectl: {path}: partition 2 is neither written nor armed: ")
        assert message in said
        assert "gptctl verify" in said
    armed = CliRunner().invoke(bootselect, ["arm", str(path), "--slot", "USR-B"], prog_name="bootselect")
    assert (armed.exit_code, armed.stderr) == (1, said.replace("updatectl:", "bootselect:"))
    assert path.read_bytes() == before
    judged = subprocess.run([sys.executable, "-m", "gptlib.cli.main", "verify", path], capture_output=True, text=True)
    assert judged.returncode == 1
    assert message in judged.stdout


@needs_loop
def test_on_a_device_too(update: Callable[..., Path], disks: Path) -> None:
    path = disks / "disk.img"
    before = disk_in(path, TwoSlots(replace(LAYOUT.gpt, entries=OVERLAPS["B begins in A"][0])))
    with loop(path) as device:
        said = refusal(updatectl("install", update(CONTENT), "--target", device, "--slot", "USR-B"))
        assert (
            f"{device}: partition 2 is neither written nor armed: partition 2 (sectors 2147 to 2200) overlaps" in said
        )
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("change", ["moved", "another", "removed", "disk"])
@pytest.mark.parametrize("when", ["before the slot is cleared", "before it is armed"])
def test_a_table_that_changes_meanwhile_is_not_armed(
    update: Callable[..., Path], disks: Path, monkeypatch: pytest.MonkeyPatch, change: str, when: str
) -> None:
    import update_agent.slot.install as module

    path = disks / "disk.img"
    disk_in(path)
    entries = dict(LAYOUT.gpt.entries)
    old = entries[B]
    if change == "moved":
        entries[B] = replace(old, first=old.first + 1)
    elif change == "another":
        entries[B] = Entry(old.first, old.last, "USR-B")
    elif change == "removed":
        del entries[B]
    image = replace(LAYOUT.gpt, entries=entries).image()

    def repartition(real: Callable[..., object]) -> Callable[..., object]:
        def first(*arguments: object) -> object:
            if change == "disk":
                run_tool("sgdisk", "--disk-guid=R", path)
            else:
                path.write_bytes(image)
            return real(*arguments)

        return first

    name = "open_slot" if when == "before the slot is cleared" else "_write_verified"
    monkeypatch.setattr(module, name, repartition(getattr(module, name)))
    if name == "_write_verified":
        monkeypatch.setattr(module, name, repartition(lambda *_: None))
    result = updatectl("install", update(CONTENT), "--target", path, "--slot", "2")
    assert result.exit_code == 1
    assert f"{path}: partition 2 is not what it was when the installation began" in result.stderr
    if change != "removed":
        assert states(path)[1] == (0, 0, 0)


class Running:
    """What the machine says that it was booted from, by a decision and by what is mounted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._decision, self._mountinfo = folder / "decision.json", folder / "mountinfo"
        self._mountinfo.write_text("")
        from bootselect import active

        for name in ("find_active", "find_running"):
            defaults = {**getattr(active, name).__kwdefaults__}
            defaults |= {"decision": str(self._decision), "mountinfo": str(self._mountinfo)}
            monkeypatch.setattr(f"bootselect.active.{name}.__kwdefaults__", defaults)

    def decided(self, disk: object, partition: int) -> None:
        self._decision.write_text(json.dumps({"disk": str(disk), "partition": partition}))

    def broken(self) -> None:
        self._decision.write_text("{")

    def mounted(self, place: str, node: str) -> None:
        rdev = Path(node).stat().st_rdev
        line = f"30 1 {os.major(rdev)}:{os.minor(rdev)} / {place} ro - erofs {node} ro\n"
        self._mountinfo.write_text(self._mountinfo.read_text() + line)

    def nothing_is_known(self) -> None:
        self._mountinfo.unlink()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    monkeypatch.setenv("SLOTBOOT_STATE_FOLDER", str(tmp_path / "state"))
    return Running(tmp_path, monkeypatch)


@needs_loop
@pytest.mark.parametrize(
    "by",
    ["decision", "decision by own node", "/usr", "/", "/usr, with a broken decision", "/usr, with an old decision"],
)
@pytest.mark.parametrize("named", ["disk", "link", "own node", "slot"])
def test_the_running_slot_is_never_written(
    update: Callable[..., Path], disks: Path, tmp_path: Path, running: Running, by: str, named: str
) -> None:
    path, link, own = disks / "disk.img", tmp_path / "link", tmp_path / "node"
    before = disk_in(path, TwoSlots(replace(LAYOUT.gpt, entries=LAYOUT.gpt.entries | {B: both_good(B)})))
    with loop(path, partitions=True) as device:
        link.symlink_to(device)
        os.mknod(own, 0o60600, Path(device).stat().st_rdev)
        if by.startswith("decision"):
            running.decided(own if "own" in by else device, B)
        elif "old" in by:
            running.decided(device, A)
        elif "broken" in by:
            running.broken()
        if by.startswith("/"):
            running.mounted(by.partition(",")[0], f"{device}p2")
        target = {"disk": device, "link": link, "own node": own, "slot": f"{device}p2"}[named]
        slot = () if named == "slot" else ("--slot", "USR-B")
        said = refusal(updatectl("install", update(CONTENT), "--target", target, *slot))
        assert f"{device}: partition 2 is the active slot; an update goes into a passive one" in said
    assert path.read_bytes() == before


def both_good(number: int) -> Entry:
    return replace(LAYOUT.gpt.entries[number], attributes=GOOD)


@needs_loop
def test_without_a_target_the_disk_that_the_system_runs_from_is_updated(
    update: Callable[..., Path], disks: Path, running: Running
) -> None:
    path = disks / "disk.img"
    disk_in(path)
    with loop(path, partitions=True) as device:
        running.decided(device, A)
        assert updatectl("install", update(CONTENT)).exit_code == 0
    assert slot_b(path).startswith(CONTENT)
    assert states(path) == [(1, 0, 1), (2, 3, 0)]


@pytest.mark.parametrize("machine", ["no decision", "a broken decision", "no /proc", "another disk"])
def test_a_foreign_target_works_on_every_machine(
    update: Callable[..., Path], disks: Path, running: Running, machine: str
) -> None:
    path = disks / "disk.img"
    disk_in(path)
    if machine == "a broken decision":
        running.broken()
    elif machine == "no /proc":
        running.nothing_is_known()
    elif machine == "another disk":
        running.decided("/dev/no-such-disk", B)
    result = updatectl("install", update(CONTENT), "--target", path, "--slot", "2")
    assert result.exit_code == 0, result.stderr
    assert states(path) == [(1, 0, 1), (2, 3, 0)]


def test_without_a_target_a_machine_that_is_not_known_says_so(update: Callable[..., Path], running: Running) -> None:
    running.nothing_is_known()
    assert "the active slot is not known" in refusal(updatectl("install", update(CONTENT)))


def test_a_slot_that_cannot_be_opened_is_named(disks: Path) -> None:
    path = disks / "disk.img"
    disk_in(path)
    with Disk.open(path) as disk:
        table = disk.table()
        path.unlink()
        with pytest.raises(SlotBusyError, match=f"{path}: the slot cannot be written now: No such file"):
            open_slot(disk, table, B)


def test_a_label_can_hold_anything(update: Callable[..., Path], disks: Path) -> None:
    path = disks / "disk.img"
    entries = LAYOUT.gpt.entries | {B: replace(LAYOUT.gpt.entries[B], name="U\ud800\n\x1b[2J")}
    disk_in(path, TwoSlots(replace(LAYOUT.gpt, entries=entries)))
    result = updatectl("install", update(CONTENT), "--target", path, "--slot", "2")
    assert result.exit_code == 0
    assert result.stdout == "version 2 is in U\\ud800\\n\\x1b[2J (partition 2): tried 3 times at most\n"
    large = refusal(updatectl("install", update(bytes(20 * 512 + 1)), "--target", path, "--slot", "2"))
    assert "slot U\\ud800\\n\\x1b[2J has only 10240" in large
