"""The active slot: by the selector's decision, or by what is mounted, through device-mapper and overlays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.active import Active, _slots_on, find_active
from bootselect.errors import ActiveUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

ROOT = "26 1 {device} / / ro shared:1 - {fstype} /dev/x {options}\n"


class System:
    """A made-up /proc/self/mountinfo and /sys: sda3 and sda4 are partitions, dm-0 is verity over sda4."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        disk = folder / "sys/devices/pci/block/sda"
        for number, name in ((3, "8:3"), (4, "8:4")):
            partition = disk / f"sda{number}"
            partition.mkdir(parents=True)
            (partition / "partition").write_text(f"{number}\n")
            (partition / "dev").write_text(f"{name}\n")
            self._link(name, partition)
        verity = folder / "sys/devices/virtual/block/dm-0"
        (verity / "slaves").mkdir(parents=True)
        (verity / "slaves/sda4").symlink_to(disk / "sda4")
        self._link("253:0", verity)
        self.slots_on: Callable[[str], set[int]] = lambda _: set()

    def _link(self, number: str, target: Path) -> None:
        link = self.folder / "sys/dev/block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)

    def device(self, name: str, number: str, *slaves: str) -> Path:
        """A device that stands on others."""
        folder = self.folder / "sys/devices/virtual/block" / name
        (folder / "slaves").mkdir(parents=True)
        for slave in slaves:
            target = self.folder / "sys/devices/pci/block/sda" / slave
            (folder / "slaves" / slave).symlink_to(target if target.exists() else folder.parent / slave)
        self._link(number, folder)
        return folder

    def find(self, mountinfo: str) -> Active:
        (self.folder / "mountinfo").write_text(mountinfo)
        decision = str(self.folder / "decision.json")
        return find_active(
            decision=decision,
            mountinfo=str(self.folder / "mountinfo"),
            sys=str(self.folder / "sys"),
            slots_on=self.slots_on,
        )


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


def test_the_decision_of_the_selector_comes_first(system: System) -> None:
    (system.folder / "decision.json").write_text('{"disk": "/dev/vda", "partition": 3}')
    active = system.find(ROOT.format(device="8:4", fstype="erofs", options="ro"))
    assert (active.disk, active.number) == ("/dev/vda", 3)


def test_a_mounted_partition_is_found(system: System) -> None:
    active = system.find(ROOT.format(device="8:3", fstype="erofs", options="ro"))
    assert (active.disk, active.number) == ("/dev/sda", 3)


def test_usr_counts_before_the_root(system: System) -> None:
    usr = "27 26 8:4 / /usr ro - squashfs /dev/sda4 ro\n"
    assert system.find(ROOT.format(device="8:3", fstype="ext4", options="rw") + usr).number == 4


def test_dm_verity_is_looked_through(system: System) -> None:
    assert system.find(ROOT.format(device="253:0", fstype="erofs", options="ro")).number == 4


def test_the_lowest_layer_of_an_overlay_is_looked_through(system: System) -> None:
    lower = "25 1 8:3 / /run/lower ro - erofs /dev/sda3 ro\n"
    options = "rw,lowerdir=/run/etc:/run/lower/root,upperdir=/run/up,workdir=/run/work"
    assert system.find(lower + ROOT.format(device="0:30", fstype="overlay", options=options)).number == 3


def test_a_system_that_was_not_booted_from_a_slot_says_so(system: System) -> None:
    with pytest.raises(ActiveUnknownError, match="neither /usr nor / comes from a partition"):
        system.find(ROOT.format(device="0:40", fstype="tmpfs", options="rw"))


def test_a_broken_decision_is_named(system: System) -> None:
    (system.folder / "decision.json").write_text("{")
    with pytest.raises(ActiveUnknownError, match=r"decision\.json cannot be used"):
        system.find("")


@pytest.mark.parametrize("slot", [3, 4])
def test_of_data_and_hashes_on_two_partitions_the_slot_is_the_active_one(system: System, slot: int) -> None:
    system.device("dm-1", "253:1", "sda3", "sda4")
    system.slots_on = lambda disk: {slot, 9} if disk == "/dev/sda" else set()
    assert system.find(ROOT.format(device="253:1", fstype="erofs", options="ro")).number == slot


def test_a_device_on_two_slots_is_neither(system: System) -> None:
    system.device("dm-1", "253:1", "sda3", "sda4")
    system.slots_on = lambda _: {3, 4}
    with pytest.raises(ActiveUnknownError, match=r"/ stands on more than one partition \(sda3, sda4\)"):
        system.find(ROOT.format(device="253:1", fstype="erofs", options="ro"))


def test_an_array_of_partitions_is_none_of_them(system: System) -> None:
    (system.device("md0", "9:0", "sda3", "sda4") / "md").mkdir()
    system.device("dm-1", "253:1", "md0")
    for device in ("9:0", "253:1"):
        with pytest.raises(ActiveUnknownError, match="neither /usr nor / comes from a partition"):
            system.find(ROOT.format(device=device, fstype="erofs", options="ro"))


def test_the_slots_of_a_disk_are_known_by_their_types(slot_image: Callable[..., SlotImage]) -> None:
    assert _slots_on(str(slot_image((1, 0, 1), (2, 3, 0)).path)) == {3, 4}


def test_a_blank_in_the_name_of_a_mount_point_is_read_as_the_kernel_writes_it(system: System) -> None:
    lower = r"25 1 8:3 / /run/my\040lower ro - erofs /dev/sda3 ro" + "\n"
    options = r"rw,lowerdir=/run/my\040lower,upperdir=/run/up,workdir=/run/work"
    assert system.find(lower + ROOT.format(device="0:30", fstype="overlay", options=options)).number == 3


def test_a_system_that_does_not_tell_what_is_mounted_is_no_crash(system: System) -> None:
    with pytest.raises(ActiveUnknownError, match="what is mounted cannot be told"):
        find_active(decision=str(system.folder / "decision.json"), mountinfo=str(system.folder / "missing"))
    (system.folder / "sys/devices/pci/block/sda/sda3/partition").write_text("")
    with pytest.raises(ActiveUnknownError, match="what is mounted cannot be told"):
        system.find(ROOT.format(device="8:3", fstype="erofs", options="ro"))
