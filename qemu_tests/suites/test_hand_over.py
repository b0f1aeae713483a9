"""Hand-overs to a kernel of the slot's own, and failures that never reach user space: each takes one try, unattended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.hardware import Hardware
from qemu_tests.story.broken_slots import broken_slot
from qemu_tests.suites.variants import Variant, build_variant, kexec_variant

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm
WATCHDOG_SECONDS = 30
WATCHED = Hardware(watchdog=True)


def test_the_kernel_is_updated_with_the_slot(slotboot_folder: Path, quick_machines: MakeMachine) -> None:
    variant = kexec_variant(slotboot_folder)
    machine = quick_machines(variant.image, "kexec")
    machine.boot(medium=variant.update)
    machine.wait_for_line("^bootselect: starting the kernel of slot USR-A$")
    machine.wait_until_ready()
    words = machine.run("cat /proc/cmdline").output.split()
    assert "slot=USR-A" in words
    assert "second" not in words
    assert machine.run("updatectl install /dev/vdb").exit == 0
    machine.reboot()
    machine.resume()
    machine.wait_for_line(r"booting slot USR-B .* now 2/2/0")
    assert machine.wait_until_ready().label == "USR-B"
    assert {"slot=USR-B", "second"} <= set(machine.run("cat /proc/cmdline").output.split())
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}


def falls_back(machine: Machine, variant: Variant, symptom: str) -> None:
    """Version 2 is armed with one try, shows the symptom, and version 1 is back after a reset that nobody ordered."""
    machine.boot(medium=variant.update)
    machine.wait_until_ready()
    assert machine.run("updatectl install --tries 1 /dev/vdb").exit == 0
    machine.reboot()
    machine.resume("the only try")
    machine.wait_for_line(symptom)
    assert machine.wait_for_boundary().kind == "reboot"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}
    machine.resume("nobody did anything")
    assert machine.wait_until_ready().label == "USR-A"


def test_a_slot_that_hangs_is_reset_by_the_watchdog(slotboot_folder: Path, quick_machines: MakeMachine) -> None:
    variant = build_variant(slotboot_folder, "hang", boot={"watchdog": WATCHDOG_SECONDS}, files=broken_slot("hang"))
    machine = quick_machines(variant.image, "watched-hang", WATCHED)
    falls_back(machine, variant, symptom="booted slot=USR-B version=2")


def test_a_slot_kernel_that_hangs_after_kexec_is_reset_by_the_watchdog(
    slotboot_folder: Path, quick_machines: MakeMachine
) -> None:
    variant = build_variant(
        slotboot_folder,
        "kernel-hang",
        boot={"watchdog": WATCHDOG_SECONDS, "hand_over": "kexec"},
        slot={"kernel": True},
        # The kernel dies at once and, against the panic=-1 before it, stays there.
        update={"cmdline": "panic=0 rdinit=/missing init=/missing root=/dev/missing"},
    )
    machine = quick_machines(variant.image, "watched-kernel-hang", WATCHED)
    falls_back(machine, variant, symptom="starting the kernel of slot USR-B")
