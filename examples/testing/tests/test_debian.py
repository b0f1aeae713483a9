"""Debian 12 with systemd-boot, which counts boots: what a test can see and do of it, and that a bad update goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from qemu_tests import Hardware, UserNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests import Machine
    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm
HARDWARE = Hardware(memory=512, bus="nvme", nics=(UserNetwork(forwards=(80,)),), display=True)
SLOT_TYPE = "root-x86-64"


def comes_up(machine: Machine) -> str:
    """Wait until the machine has marked its slot good; the slot."""
    machine.login("root", "slotboot")
    machine.wait_for_unit("slot-good.service")
    return machine.run("sed 's/.*slot=\\(.\\).*/\\1/' /proc/cmdline").output.strip()


def test_it_comes_up_and_switches_itself_off(debian: Path, slotboot_machines: MakeMachine, tmp_path: Path) -> None:
    machine = slotboot_machines(debian, hardware=HARDWARE)
    machine.boot()
    assert comes_up(machine) == "a"
    machine.wait_for_port(80)
    with urlopen(f"http://127.0.0.1:{machine.port(80)}/") as page:
        assert page.read() == b"It works.\n"

    (tmp_path / "page").write_text("Another page.\n")
    machine.copy_in(tmp_path / "page", "/srv/www/page")
    machine.wait_for_file("/srv/www/page")
    machine.copy_out("/srv/www/page", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "Another page.\n"
    assert machine.screenshot().startswith(b"\x89PNG")

    machine.power_button()
    assert machine.wait_for_boundary().kind == "poweroff"
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"root-a": "1/0/1", "root-b": "0/0/0"}


def test_an_update_takes_over(debian: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(debian, hardware=HARDWARE)
    machine.boot()
    assert comes_up(machine) == "a"
    assert machine.run("slot arm b 2").exit == 0
    machine.reboot()
    machine.resume()
    assert comes_up(machine) == "b"
    machine.power_off()
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"root-a": "1/0/1", "root-b": "2/0/1"}


def test_an_update_that_never_comes_up_is_rolled_back(debian: Path, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(debian, hardware=HARDWARE)
    machine.boot()
    assert comes_up(machine) == "a"
    broken = "mount /dev/nvme0n1p3 /mnt && ln -sf /bin/false /mnt/sbin/init && umount /mnt"
    assert machine.run(f"{broken} && slot arm b 2").exit == 0
    machine.reboot()  # held at the boundary: nothing of the next boot has run
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"root-a": "1/0/1", "root-b": "2/2/0"}
    for attempt in ("first try", "second try"):
        machine.resume(attempt)
        assert machine.wait_for_boundary().kind == "reboot"
    machine.resume("nobody did anything")
    assert comes_up(machine) == "a"
    assert machine.run("ls /efi/loader/entries").output.split() == ["slot-a.conf", "slot-b+0-2.conf"]
    machine.power_off()
    assert machine.judge(slot_type=SLOT_TYPE).slots == {"root-a": "1/0/1", "root-b": "0/0/0"}
