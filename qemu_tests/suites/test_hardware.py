"""Machines of other parts, with the default image, and a machine that is frozen and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import GuestFailedError, NoShellError
from qemu_tests.harness.disk.faults import CutAtLine
from qemu_tests.harness.hardware import Hardware, Uefi, UserNetwork
from qemu_tests.harness.tools import run_tool
from qemu_tests.suites.variants import build_variant

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.machine.frozen import Frozen
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.scopes import ScopeMachines
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm


def test_a_slot_is_booted_from_nvme_with_a_tpm_a_display_and_a_network(
    materials: Materials, slotboot_machines: MakeMachine
) -> None:
    parts = Hardware(bus="nvme", tpm=True, display=True, nics=(UserNetwork(forwards=(22, 8080)),))
    machine = slotboot_machines(materials.image, "many-parts", parts)
    machine.boot()
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.run("grep nvme0n1p2 /proc/partitions").exit == 0
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "0/0/0"}
    assert machine.screenshot().startswith(b"\x89PNG")
    assert len({machine.port(22), machine.port(8080)}) == 2
    assert machine.addresses == ("10.0.2.15",)
    # TPM 2.0 in the devices that the firmware describes (ACPI).
    assert machine.run("ls /sys/bus/acpi/devices | grep MSFT0101").exit == 0
    machine.power_button()
    assert machine.run("echo ok").exit == 0  # the tiny slot has nobody who would look at it


@pytest.mark.parametrize(("bus", "path"), [("scsi", "Scsi"), ("usb", "USB")])
def test_the_firmware_starts_the_image_from_other_buses(
    bus: str, path: str, materials: Materials, slotboot_machines: MakeMachine
) -> None:
    """The default image has no driver for these, so that is all."""
    machine = slotboot_machines(materials.image, f"from-{bus}", Hardware(bus=bus))  # type: ignore[arg-type]  # a literal
    machine.boot(faults=[CutAtLine(rf"BdsDxe: starting Boot.*/{path}\(")])
    machine.wait_for_freeze()
    machine.power_cut()


def test_an_unsigned_loader_is_refused_under_secure_boot(materials: Materials, slotboot_machines: MakeMachine) -> None:
    machine = slotboot_machines(materials.image, "secure-boot", Hardware(firmware=Uefi(secure_boot=True)))
    machine.boot()
    machine.wait_for_line("BdsDxe: failed to load .*Access Denied")


def test_the_firmware_of_aarch64_sees_the_partitions(materials: Materials, slotboot_machines: MakeMachine) -> None:
    """The image has no loader for it, so its firmware ends in the UEFI shell."""
    machine = slotboot_machines(materials.image, "aarch64", Hardware(arch="aarch64", memory=512))
    machine.boot()
    machine.wait_for_prompt(r"Shell> *$")
    with pytest.raises(NoShellError):
        machine.run("echo ok")
    machine.type("map", "enter")
    guid = machine.wait_for_line(r"HD\(1,GPT,([0-9A-F-]{36})").group(1)
    machine.power_cut()
    assert f"Partition unique GUID: {guid}" in run_tool("sgdisk", "-i", "1", materials.image)


def test_an_image_with_sectors_of_4096_bytes_boots_and_is_updated(
    slotboot_machines: MakeMachine, slotboot_folder: Path
) -> None:
    variant = build_variant(slotboot_folder, "big-sectors", sector_size=4096)
    machine = slotboot_machines(variant.image, "big-sectors", Hardware(sector_size=4096))
    machine.boot(medium=variant.update)
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.run("cat /sys/block/vda/queue/logical_block_size").output.strip() == "4096"
    assert machine.run("updatectl install /dev/vdb").exit == 0
    machine.reboot()
    machine.resume()
    assert machine.wait_until_ready().label == "USR-B"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}


def test_what_was_frozen_goes_on_more_than_once_and_each_for_itself(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, tmp_path: Path
) -> None:
    first, second = (slotboot_machines.wake(fresh_up, name) for name in ("woken-1", "woken-2"))
    identity = "cat /proc/sys/kernel/random/boot_id"
    assert first.run(identity).output == second.run(identity).output
    assert first.run("updatectl install /dev/vdb").exit == 0
    assert first.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/3/0"}
    assert second.judge().slots == {"USR-A": "1/0/1", "USR-B": "0/0/0"}
    second.power_cut()
    first.reboot()
    first.resume()
    assert first.wait_until_ready().label == "USR-B"
    again = first.suspend(tmp_path / "again")
    assert slotboot_machines.wake(again, "woken-3").run("cat /etc/os-release").output.count("2")


def test_the_power_fails_at_a_line_of_the_console(materials: Materials, quick_machines: MakeMachine) -> None:
    machine = quick_machines(materials.image, "cut-at-line")
    machine.boot(faults=[CutAtLine("bootselect: booting slot")])
    machine.wait_for_freeze()
    machine.power_cut()
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "0/0/0"}


def test_a_panic_ends_the_wait_for_something_else(fresh_up: Frozen, slotboot_machines: ScopeMachines) -> None:
    machine = slotboot_machines.wake(fresh_up)
    machine.order("echo c > /proc/sysrq-trigger")
    with pytest.raises(GuestFailedError, match=r"Kernel panic - not syncing: sysrq triggered crash"):
        machine.wait_for_line("never")
    assert machine.wait_for_boundary().kind == "reboot"


def test_files_are_copied_in_and_out(materials: Materials, quick_machines: MakeMachine) -> None:
    machine = quick_machines(materials.image, "files")
    machine.boot()
    machine.wait_until_ready()
    source = machine.folder / "random"
    source.write_bytes(bytes(range(256)) * 1000)
    machine.copy_in(source, "/run/a file")
    machine.wait_for_file("/run/a file")
    machine.copy_out("/run/a file", machine.folder / "back")
    assert (machine.folder / "back").read_bytes() == source.read_bytes()
