"""The units of the running system, in a Debian with systemd as its slot: good only when the checks say so, else away."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.api import build_image, load_definition
from image_builder.content.image import Image
from qemu_tests.harness.hardware import Hardware
from qemu_tests.harness.shared import shared_result
from qemu_tests.story.debian import COMPILED, build_in_debian

if TYPE_CHECKING:
    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine

pytestmark = pytest.mark.vm
DEFINITION = Path(__file__).parents[2] / "examples" / "minimal.toml"
PACKAGES = ("systemd-sysv", "dbus", "python3", "python3-click", "python3-crcmod")
UNHEALTHY = "slotboot.test=unhealthy"
INSTALL = rf"""
set -e
cp -r bootselect gptlib "$1/usr/lib/python3/dist-packages/"
printf '%s\n' '#!/usr/bin/python3' 'from bootselect.cli.main import main' 'main()' >"$1/usr/bin/bootselect"
chmod +x "$1/usr/bin/bootselect"
cp bootselect/integration/systemd/*.service "$1/usr/lib/systemd/system/"
mkdir -p "$1/etc/bootselect/health.d/required.d"
check=$1/etc/bootselect/health.d/required.d/50-command-line
printf '%s\n' '#!/bin/sh' '! grep -q {UNHEALTHY} /proc/cmdline' >"$check"
chmod +x "$check"
echo 'tmpfs /var tmpfs mode=0755 0 0' >"$1/etc/fstab"
chroot "$1" systemctl enable bootselect-health.service bootselect-mark-good.service
{COMPILED}# Nothing of these is needed, and under emulation they take most of the time.
chroot "$1" systemctl mask systemd-udev-trigger.service systemd-logind.service getty.target
chroot "$1" systemctl set-default multi-user.target
rm -rf "$1/var/lib/apt/lists" "$1/var/cache/apt"
# mmdebstrap has the kernel's file systems mounted there; the folders themselves stay.
mkfs.erofs --quiet -zlz4 -x-1 --exclude-regex='^(dev|proc|sys)/' "$2/debian.erofs" "$1"
"""
"""Run by mmdebstrap outside of the new Debian: $1 is its root, $2 the folder for the file system that is made of it."""


@pytest.fixture(scope="session")
def debian_slot(slotboot_folder: Path) -> Path:
    """An erofs with Debian, systemd and our units; a word on the kernel's command line makes its health check fail."""

    def build() -> str:
        return str(build_in_debian(PACKAGES, INSTALL, "debian-slot") / "debian.erofs")

    return Path(shared_result(slotboot_folder, "debian-slot", build))


def with_debian_in_b(slot: Path, folder: Path, *, tries: int, cmdline: str = "") -> Path:
    """A disk with the tiny system in USR-A, known to boot, and Debian armed in USR-B."""
    definition = load_definition(DEFINITION)
    if definition.boot is None:
        raise TypeError("the default definition has a boot section")
    (tiny,) = definition.slots
    debian = replace(tiny, section="debian", system=Image(slot, "erofs"), filesystem="erofs", files=())
    partitions = tuple(
        replace(partition, size=192 << 20, content=debian) if partition.label == "USR-B" else partition
        for partition in definition.partitions
    )
    boot = replace(definition.boot, cmdline=f"systemd.show_status=1 {cmdline}".strip())
    both = replace(definition, boot=boot, partitions=partitions, slots=(tiny, debian))
    image = build_image(both, folder, slot=tiny.section, version="1").path
    subprocess.run(["cgpt", "add", "-i", "3", "-P", "2", "-T", str(tries), "-S", "0", str(image)], check=True)
    return image


def machine_with(quick_machines: MakeMachine, image: Path, name: str) -> Machine:
    return quick_machines(image, name, hardware=Hardware(memory=512))


def test_a_slot_is_marked_good_once_its_required_checks_have_passed(
    debian_slot: Path, quick_machines: MakeMachine, tmp_path: Path
) -> None:
    machine = machine_with(quick_machines, with_debian_in_b(debian_slot, tmp_path, tries=3), "systemd-healthy")
    machine.boot()
    machine.wait_for_line(r"booting slot USR-B .* now 2/2/0")
    machine.wait_for_line("Finished.*Health checks of the booted slot", 120)
    machine.wait_for_line("Reached target.*Boot Completion Check", 120)
    machine.wait_for_line("Finished.*Mark the booted slot good", 120)
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}


def test_a_slot_whose_required_check_fails_reboots_itself_and_falls_back(
    debian_slot: Path, quick_machines: MakeMachine, tmp_path: Path
) -> None:
    image = with_debian_in_b(debian_slot, tmp_path, tries=1, cmdline=UNHEALTHY)
    machine = machine_with(quick_machines, image, "systemd-unhealthy")
    machine.boot()
    machine.wait_for_line(r"booting slot USR-B .* now 2/0/0")
    assert machine.wait_for_boundary(180).kind == "reboot"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}
    machine.resume("nobody did anything")
    assert machine.wait_until_ready().label == "USR-A"
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}
