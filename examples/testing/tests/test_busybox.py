"""A disk whose initramfs selects the slot with cgpt: tries count down, and a power cut in between leaves a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests import CutAt, NothingLost

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm
SLOT_TYPE = "chromeos-kernel"


def test_tries_count_down_and_the_old_slot_comes_back(busybox: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(busybox)
    machine.boot()
    machine.login("root", "slotboot")
    broken = "mount -t ext4 /dev/vda3 /mnt && touch /mnt/broken && umount /mnt"
    assert machine.run(f"{broken} && cgpt add -i 3 -P 2 -T 2 -S 0 /dev/vda").exit == 0
    machine.reboot()
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"slot-a": "1/0/1", "slot-b": "2/2/0"}
    for left in (1, 0):
        machine.resume()
        machine.wait_for_line("this slot is broken")
        machine.wait_for_boundary()
        assert machine.judge(slot_type=SLOT_TYPE).slots == {"slot-a": "1/0/1", "slot-b": f"2/{left}/0"}
    machine.resume()
    machine.wait_for_line("slot-a is up")
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"slot-a": "1/0/1", "slot-b": "2/0/0"}


def test_a_power_cut_takes_what_was_not_flushed(busybox: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(busybox)
    machine.boot()
    machine.login("root", "slotboot")
    write = "mount -o remount,rw / && echo 1 | dd of=/flushed conv=fsync && echo 1 >/written"
    assert machine.run(write).exit == 0
    machine.power_cut()
    machine.boot()
    machine.login("root", "slotboot")
    assert machine.run("cat /flushed").output.strip() == "1"
    assert machine.run("test -s /written").exit != 0


def test_a_power_cut_while_a_try_is_counted(busybox: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(busybox)
    machine.boot()
    machine.login("root", "slotboot")
    assert machine.run("cgpt add -i 3 -P 2 -T 3 -S 0 /dev/vda").exit == 0
    machine.power_off()
    machine.boot(faults=[CutAt(1)])  # the header of the table
    machine.wait_for_freeze()
    machine.power_cut(NothingLost())
    assert machine.judge(whole=False, slot_type=SLOT_TYPE).slots == {"slot-a": "1/0/1", "slot-b": "2/3/0"}
    machine.boot()
    machine.wait_for_line("slot-b is up")
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"slot-a": "1/0/1", "slot-b": "2/0/1"}
