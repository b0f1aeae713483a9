"""A disk for an old BIOS, booted by GRUB, which keeps its tries in its environment block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests import Bios, Hardware
from qemu_tests.errors import NoSlotsError

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm


def test_a_slot_that_panics_is_rolled_back(grub: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(grub, hardware=Hardware(firmware=Bios()))
    machine.boot()
    machine.wait_for_line("GRUB boots slot-a")
    machine.login("root", "slotboot")
    broken = "mount -t ext4 /dev/vda4 /mnt && rm /mnt/sbin/init && umount /mnt"
    assert machine.run(f"{broken} && boot-env good=slot-a trial=slot-b tries=2").exit == 0
    machine.reboot()
    for left in (1, 0):
        machine.resume()
        machine.wait_for_line(f"GRUB boots slot-b, tries left: {left}")
        assert machine.wait_for_boundary().kind == "reboot"
    machine.resume()
    machine.login("root", "slotboot")
    assert machine.run("cat /proc/sys/kernel/hostname").output.strip() == "slot-a"
    # Its slots have no attributes: there is nothing to judge, and that is said.
    with pytest.raises(NoSlotsError):
        machine.judge()
