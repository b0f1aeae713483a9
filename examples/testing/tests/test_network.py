"""Four Debian machines on a private network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests import Hardware, PrivateNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.scopes import ScopeMachines

pytestmark = pytest.mark.vm
NAMES = ("ada", "bob", "cleo", "dan")


def test_four_machines_find_each_other_by_name(debian: Path, slotboot_machines: ScopeMachines) -> None:
    hardware = Hardware(memory=512, bus="nvme", nics=(PrivateNetwork(slotboot_machines.network()),))
    machines = [slotboot_machines(debian, name, hardware) for name in NAMES]
    for machine in machines:
        machine.boot()
    for machine in machines:
        machine.login("root", "slotboot")
        assert machine.run(f"echo {machine.name} >/srv/www/name").exit == 0

    def fetches(name: str) -> str:
        # The whole name: systemd-resolved asks no name server for a single label unless it is told to (UseDomains=).
        return f'address=$(getent hosts {name}.slotboot.test) && timeout 10 busybox wget -q -O - "http://${{address%% *}}/name"'

    for machine, other in zip(machines, [*NAMES[1:], NAMES[0]], strict=True):
        assert machine.wait_until(fetches(other)).output.strip() == other
    ada, bob = machines[:2]
    bob.cut_off()
    assert ada.run(fetches("bob")).exit != 0
    assert ada.run(fetches("cleo")).exit == 0
    bob.join()
    assert ada.wait_until(fetches("bob")).output.strip() == "bob"
