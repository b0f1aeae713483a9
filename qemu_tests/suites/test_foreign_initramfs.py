"""The selector in other people's initramfs: built by Debian's initramfs-tools, dracut and mkosi, and booted."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.hardware import DirectKernel, Hardware
from qemu_tests.harness.once import once
from qemu_tests.harness.tools import run_tool
from qemu_tests.suites.debian import build_in_debian

if TYPE_CHECKING:
    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
ROOT = Path(__file__).parents[2]
CMDLINE = "console=ttyS0 gpt panic=-1"
PACKAGES = (
    *("python3", "python3-crcmod", "busybox", "kmod", "zstd", "linux-image-cloud-amd64"),
    *("initramfs-tools", "dracut-core"),
)
INSTALL = r"""
set -e
site=$1/usr/lib/python3/dist-packages
cp -r bootselect gptlib "$site/"
hooks=bootselect/integration
cp $hooks/initramfs-tools/hooks/bootselect "$1/etc/initramfs-tools/hooks/"
cp $hooks/initramfs-tools/scripts/bootselect "$1/etc/initramfs-tools/scripts/"
cp -r $hooks/dracut/90bootselect "$1/usr/lib/dracut/modules.d/"
version=$(ls "$1/lib/modules")
chroot "$1" mkinitramfs -o /initramfs-tools.img "$version"
chroot "$1" dracut --no-hostonly --add bootselect --kver "$version" /dracut.img
cp "$1/initramfs-tools.img" "$1/dracut.img" "$2/"
cp "$1/boot/vmlinuz-$version" "$2/vmlinuz"
"""
"""Run by mmdebstrap outside of the new Debian: $1 is its root, $2 the folder for what is built."""


@pytest.fixture(scope="session")
def foreign(slotboot_folder: Path) -> Path:
    """A folder with ``vmlinuz``, ``initramfs-tools.img`` and ``dracut.img``."""

    def build() -> str:
        folder = slotboot_folder / "foreign"
        folder.mkdir()
        build_in_debian(PACKAGES, INSTALL, folder, folder)
        return str(folder)

    return Path(once(slotboot_folder, "foreign", build))


@pytest.fixture(scope="session")
def by_mkosi(slotboot_folder: Path) -> Path:
    """A folder with ``vmlinuz`` and ``initramfs.cpio.zst``."""

    def build() -> str:
        output = slotboot_folder / "mkosi"
        output.mkdir()
        run_tool("mkosi", "--directory", ROOT / "examples/mkosi", "--output-dir", output, "build")
        return str(output / "debian~bookworm")

    return Path(once(slotboot_folder, "mkosi", build))


def boots_a_slot(machine: Machine, kernel: DirectKernel) -> None:
    """The selector counts the try of USR-A, mounts it, and the system in it comes up and marks itself good."""
    machine.boot(kernel=kernel)
    machine.wait_for_line(r"bootselect: booting slot USR-A \(partition 2, version 1\), now 2/2/0")
    assert machine.wait_for_hello().label == "USR-A"
    assert machine.judge().slots == {"USR-A": "2/0/1", "USR-B": "0/0/0"}


@pytest.fixture
def armed(materials: Materials, tmp_path: Path) -> Path:
    """The default image with USR-A armed."""
    image = tmp_path / "disk.raw"
    shutil.copy(materials.image, image)
    subprocess.run(["cgpt", "add", "-i", "2", "-P", "2", "-T", "3", "-S", "0", str(image)], check=True)
    return image


@pytest.mark.parametrize(
    ("name", "switch"),
    [("initramfs-tools", "boot=bootselect"), ("dracut", "root=bootselect")],
    ids=["initramfs-tools", "dracut"],
)
def test_the_selector_boots_a_slot_from_an_initramfs_of(
    foreign: Path, armed: Path, slotboot_machines: MakeMachine, name: str, switch: str
) -> None:
    kernel = DirectKernel(foreign / "vmlinuz", foreign / f"{name}.img", f"{CMDLINE} {switch}")
    boots_a_slot(slotboot_machines(armed, f"foreign-{name}", hardware=Hardware(memory=1024)), kernel)


@pytest.mark.skipif(os.geteuid() != 0, reason="mkosi 14 builds as root only")
def test_the_selector_boots_a_slot_from_the_initramfs_of_the_mkosi_example(
    by_mkosi: Path, armed: Path, slotboot_machines: MakeMachine
) -> None:
    kernel = DirectKernel(by_mkosi / "vmlinuz", by_mkosi / "initramfs.cpio.zst", CMDLINE)
    boots_a_slot(slotboot_machines(armed, "foreign-mkosi"), kernel)
