"""What the selector does with slots and disks that are not as they should be, in real boots of the default image."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from image_builder.boot.cpio import file, write_archive
from qemu_tests.harness.disk.faults import BadSector
from qemu_tests.suites.variants import build_variant, sealed_variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
BACKUP_HEADER = -1


@pytest.fixture
def disk_with(materials: Materials, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the image whose slots cgpt has given other attributes; both slots hold version 1."""

    def make(**slots: tuple[int, int, int]) -> Path:
        path = tmp_path / "disk.raw"
        shutil.copy(materials.image, path)
        with Disk.open(path) as disk:
            table = disk.table()
        numbers = {label: table.find(label=label.replace("_", "-"))[0] for label in ("USR_A", "USR_B")}
        first, second = (table.partition(number) for number in numbers.values())
        with path.open("r+b") as file:
            file.seek(first.first_lba * 512)
            content = file.read(first.sectors * 512)
            file.seek(second.first_lba * 512)
            file.write(content)
        for label, (priority, tries, successful) in slots.items():
            bits = ["-P", str(priority), "-T", str(tries), "-S", str(successful)]
            subprocess.run(["cgpt", "add", "-i", str(numbers[label]), *bits, str(path)], check=True)
        return path

    return make


def slot_place(image: Path, label: str) -> int:
    """Byte offset of a slot."""
    with Disk.open(image) as disk:
        table = disk.table()
    return table.partition(table.find(label=label)[0]).first_lba * 512


def test_a_slot_that_does_not_mount_is_passed_over_in_the_same_boot(
    disk_with: Callable[..., Path], quick_machines: MakeMachine
) -> None:
    image = disk_with(USR_A=(1, 0, 1), USR_B=(2, 3, 0))
    with image.open("r+b") as file:
        file.seek(slot_place(image, "USR-B"))
        file.write(bytes(4096))
    machine = quick_machines(image, "unmountable")
    machine.boot()
    machine.wait_for_line(
        "slot USR-B is marked bad and the next one is taken: .*begins with no file system that is known; expected erofs, squashfs, ext4"
    )
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.boots == 1
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}


def test_an_unproven_slot_is_not_booted_from_a_disk_that_cannot_be_written(
    disk_with: Callable[..., Path], quick_machines: MakeMachine
) -> None:
    image = disk_with(USR_A=(1, 0, 1), USR_B=(2, 3, 0))
    machine = quick_machines(image, "unwritable")
    machine.boot(faults=[BadSector(image.stat().st_size // 512 + BACKUP_HEADER)])
    machine.wait_for_line("nothing was written: .*Input/output error")
    assert machine.wait_until_ready().label == "USR-A"
    assert "its try cannot be recorded" in machine.run("cat /run/bootselect/decision.json").output


@pytest.mark.parametrize(("action", "kind"), [("reboot", "reboot"), ("poweroff", "poweroff")])
def test_nothing_bootable_ends_in_the_configured_action(
    slotboot_folder: Path, quick_machines: MakeMachine, tmp_path: Path, action: str, kind: str
) -> None:
    image = tmp_path / "disk.raw"
    shutil.copy(build_variant(slotboot_folder, action, boot={"on_nothing_bootable": action}).image, image)
    subprocess.run(["cgpt", "add", "-i", "2", "-P", "1", "-T", "0", "-S", "0", str(image)], check=True)
    machine = quick_machines(image, f"nothing-{action}")
    machine.boot()
    machine.wait_for_line(r"no slot is bootable \(USR-A 1/0/0, USR-B 0/0/0\)")
    machine.wait_for_line(f"no slot could be booted; action: {action}")
    assert machine.wait_for_boundary().kind == kind


def test_nothing_bootable_is_a_shell_that_says_what_helps_and_that_helps(
    disk_with: Callable[..., Path], quick_machines: MakeMachine
) -> None:
    machine = quick_machines(disk_with(USR_A=(1, 0, 0), USR_B=(0, 0, 0)), "rescue")
    machine.boot()
    machine.wait_for_line("no slot could be booted; action: rescue")
    for helps in ("bootselect status", "bootselect mark-good SLOT", "reboot -f"):
        machine.wait_for_line(helps)
    machine.type_line("bootselect status")
    machine.wait_for_line("^/dev/vda: USR-A 1/0/0, USR-B 0/0/0")
    machine.type_line("bootselect mark-good USR-B")
    machine.wait_for_line("^/dev/vda: USR-A 1/0/0, USR-B 2/0/1")
    machine.type_line("reboot -f")
    assert machine.wait_for_boundary().kind == "reboot"
    assert machine.judge().slots == {"USR-A": "1/0/0", "USR-B": "2/0/1"}
    machine.resume()
    assert machine.wait_until_ready().label == "USR-B"


def test_the_last_resort_is_a_proven_slot_of_priority_0(
    disk_with: Callable[..., Path], quick_machines: MakeMachine
) -> None:
    machine = quick_machines(disk_with(USR_A=(0, 0, 1), USR_B=(2, 0, 0)), "last-resort")
    machine.boot()
    machine.wait_for_line("reason: last resort")
    assert machine.wait_until_ready().label == "USR-A"


def test_what_grub_has_chosen_is_not_counted_again(
    disk_with: Callable[..., Path], quick_machines: MakeMachine, kernel: DirectKernel
) -> None:
    image = disk_with(USR_A=(1, 0, 1), USR_B=(2, 2, 0))
    with Disk.open(image) as disk:
        table = disk.table()
    slot, state = (table.partition(table.find(label=label)[0]).unique_guid for label in ("USR-B", "STATE"))
    # As Flatcar's does; another partition beside it, and a slot that no boot loader chooses, change nothing.
    named = f"root=PARTUUID={state} mount.usr=/dev/mapper/usr verity.usr=PARTUUID={str(slot).upper()}"
    direct = replace(kernel, command_line=f"{kernel.command_line} {named}")
    machine = quick_machines(image, "grub-has-chosen")
    machine.boot(kernel=direct)
    machine.wait_for_line("now 2/2/0")
    assert machine.wait_until_ready().label == "USR-B"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}


def without_module(kernel: DirectKernel, name: str, target: Path) -> DirectKernel:
    """The kernel with an initramfs in which the file of a module is broken, as on a medium that is going bad."""
    packed = kernel.initramfs.read_bytes()
    names = subprocess.run(["lz4", "-dc", str(kernel.initramfs)], capture_output=True, check=True).stdout
    found = re.search(rf"usr/lib/python3\.\d+/bootselect/initramfs/{name}\.pyc".encode(), names)
    assert found
    archive = io.BytesIO()
    write_archive(archive, [file(found.group().decode(), b"no module at all")])
    more = subprocess.run(["lz4", "-l", "-c"], input=archive.getvalue(), capture_output=True, check=True).stdout
    target.write_bytes(packed + more)
    return replace(kernel, initramfs=target)


def test_an_exception_in_every_slot_ends_in_a_line_for_each_and_takes_nothing_that_was_proved(
    disk_with: Callable[..., Path], quick_machines: MakeMachine, kernel: DirectKernel, tmp_path: Path
) -> None:
    image = disk_with(USR_A=(1, 0, 1), USR_B=(2, 3, 0))
    label = "x\n/dev/vdz: USR-A 9/9/1\x1b[2J"
    with Disk.open(image, write=True) as disk:
        table = disk.table()
        number = table.find(label="USR-B")[0]
        disk.write(table.change(number, table.partition(number)._replace(name=label)))
    shown = r"x\n/dev/vdz: USR-A 9/9/1\x1b[2J"
    direct = without_module(kernel, "verity", tmp_path / "initramfs")
    # No udev runs here: the name is an identity, not a link that would have to appear.
    named = "bootselect.verity=auto boot-disk=/dev/disk/by-partlabel/EFI-SYSTEM"
    machine = quick_machines(image, "broken-module")
    machine.boot(kernel=replace(direct, command_line=f"{direct.command_line} {named}"))
    machine.wait_for_line("disk /dev/vda: boot-disk=/dev/disk/by-partlabel/EFI-SYSTEM")
    machine.wait_for_line(f"slot {re.escape(shown)} is marked bad and the next one is taken: ImportError: ")
    machine.wait_for_line("slot USR-A is passed over in this boot and the next one is taken: ImportError: ")
    machine.wait_for_line("no slot is bootable")
    machine.wait_for_line("no slot could be booted; action: rescue")
    machine.type_line("bootselect status")
    machine.wait_for_line(f"^/dev/vda: USR-A 1/0/1, {re.escape(shown)} 2/0/0$")
    assert not machine.console.find_all("Traceback|^/dev/vdz")


def test_a_clone_of_the_disk_is_a_clear_refusal_and_never_a_coin_toss(
    disk_with: Callable[..., Path], quick_machines: MakeMachine
) -> None:
    image = disk_with()
    machine = quick_machines(image, "clone")
    machine.boot(medium=image)
    machine.wait_for_line("cannot choose a disk: /dev/vda, /dev/vdb all qualify")
    machine.wait_for_line("no slot could be booted; action: rescue")


def test_the_command_line_settles_which_of_two_clones_it_is(
    disk_with: Callable[..., Path], quick_machines: MakeMachine, kernel: DirectKernel
) -> None:
    image = disk_with()
    direct = replace(kernel, command_line=f"{kernel.command_line} boot-disk=/dev/vda")
    machine = quick_machines(image, "clone-named")
    machine.boot(medium=image, kernel=direct)
    machine.wait_for_line("disk /dev/vda: boot-disk=/dev/vda")
    assert machine.wait_until_ready().label == "USR-A"


@pytest.mark.parametrize("filesystem", ["erofs", "squashfs", "ext4"])
def test_a_sealed_slot_is_mounted_through_dm_verity(
    slotboot_folder: Path, quick_machines: MakeMachine, filesystem: str
) -> None:
    sealed = sealed_variant(slotboot_folder, filesystem)
    machine = quick_machines(sealed.image, f"sealed-{filesystem}")
    machine.boot(medium=sealed.update)
    machine.wait_until_ready()
    assert f"/dev/dm-0 / {filesystem} ro" in machine.run("cat /proc/mounts").output
    # Without the selector's word the active slot is found through device-mapper.
    assert '"active": 2' in machine.run("mv /run/bootselect /run/elsewhere; bootselect status --json").output
    assert machine.run("mv /run/elsewhere /run/bootselect; updatectl install --tries 1 /dev/vdb").exit == 0
    machine.reboot()
    machine.resume()
    assert machine.wait_until_ready().label == "USR-B"


def test_a_proven_sealed_slot_that_was_changed_is_passed_over_in_the_same_boot(
    slotboot_folder: Path, quick_machines: MakeMachine
) -> None:
    sealed = sealed_variant(slotboot_folder)
    machine = quick_machines(sealed.image, "sealed-proven")
    machine.boot(medium=sealed.update)
    machine.wait_until_ready()
    assert machine.run("updatectl install /dev/vdb && bootselect mark-good --slot USR-B").exit == 0
    machine.power_off()
    machine.disk.write_zeros(slot_place(sealed.image, "USR-B") + (1 << 20), 6 << 20)
    machine.boot()
    machine.wait_for_line("slot USR-B is marked bad and the next one is taken")
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.boots == 2
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}


def test_a_sealed_slot_that_was_changed_takes_its_tries_and_falls_back(
    slotboot_folder: Path, quick_machines: MakeMachine
) -> None:
    sealed = sealed_variant(slotboot_folder)
    machine = quick_machines(sealed.image, "sealed-changed")
    machine.boot(medium=sealed.update)
    machine.wait_until_ready()
    assert machine.run("updatectl install --tries 2 /dev/vdb").exit == 0
    machine.power_off()
    # Everything behind the first MiB of the file system: its superblock stays.
    machine.disk.write_zeros(slot_place(sealed.image, "USR-B") + (1 << 20), 6 << 20)
    machine.boot()
    for left in (1, 0):
        # The kernel resets the machine at the first block that does not match.
        assert machine.wait_for_boundary().kind == "reboot"
        assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": f"2/{left}/0"}
        machine.resume()
    assert machine.wait_until_ready().label == "USR-A"


def test_of_three_slots_the_best_one_that_works_is_booted(
    slotboot_folder: Path, quick_machines: MakeMachine, tmp_path: Path
) -> None:
    variant = build_variant(slotboot_folder, "three", third_slot=True)
    image = tmp_path / "disk.raw"
    shutil.copy(variant.image, image)
    # USR-B (3) is armed and empty, USR-C (5) proved itself once and is empty now: both are passed over, in one boot.
    for number, bits in ((2, "1 0 1"), (3, "3 3 0"), (5, "2 0 1")):
        priority, tries, successful = bits.split()
        words = ["-i", str(number), "-P", priority, "-T", tries, "-S", successful]
        subprocess.run(["cgpt", "add", *words, str(image)], check=True)
    machine = quick_machines(image, "three-slots")
    machine.boot(medium=variant.update)
    for label in ("USR-B", "USR-C"):
        machine.wait_for_line(f"slot {label} is marked bad and the next one is taken")
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "3/0/0", "USR-C": "2/0/0"}
    # With two passive slots the update has to be told which; it is armed above the others.
    assert machine.run("updatectl install /dev/vdb").exit == 1
    assert machine.run("updatectl install --slot USR-C /dev/vdb").exit == 0
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0", "USR-C": "3/3/0"}
    machine.reboot()
    machine.resume()
    assert machine.wait_until_ready().label == "USR-C"
