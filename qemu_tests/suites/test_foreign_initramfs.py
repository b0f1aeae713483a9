"""The selector in other people's initramfs: built by Debian's initramfs-tools, dracut and mkosi, and booted.

What is booted was built as users have it: the wheel in a virtual environment, and the Debian package, both in a new Debian 12.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from qemu_tests.harness.hardware import DirectKernel, Hardware
from qemu_tests.harness.judges import find_problems
from qemu_tests.harness.shared import shared_result
from qemu_tests.harness.tools import run_tool
from qemu_tests.story.debian import SOURCES, build_in_debian, kept
from qemu_tests.suites.variants import kexec_variant, sealed_variant

if TYPE_CHECKING:
    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
ROOT = Path(__file__).parents[2]
CMDLINE = "console=ttyS0 gpt panic=-1"
PACKAGES = (
    *("python3", "python3-crcmod", "busybox", "kmod", "zstd", "linux-image-cloud-amd64"),
    *("initramfs-tools", "dracut-core", "systemd"),
    *("python3-venv", "python3-click", "python3-construct"),
)
INSTALL = r"""
set -e
root=$1 output=$2
script/package "$output/packages" >&2
version=$(ls "$root/lib/modules")
dracut() { chroot "$root" dracut --no-hostonly --compress 'zstd -q -1' --add bootselect --kver "$version" "$@"; }
mkdir "$root/made"
cp "$output"/packages/*.whl "$output"/packages/*.deb "$root/made/"

# The wheel, in an environment of its own that the hooks find by themselves.
chroot "$root" python3 -m venv --system-site-packages /opt/slotboot
chroot "$root" sh -c '/opt/slotboot/bin/pip install --quiet --no-index --no-deps /made/*.whl'
bootselect() { chroot "$root" /opt/slotboot/bin/bootselect "$@"; }
bootselect integrate dracut initramfs-tools systemd
chroot "$root" systemctl is-enabled bootselect-health bootselect-mark-good >"$output/enabled-by-wheel"
dracut /made/dracut.img
# Compressed fast: each is unpacked a few times only.
chroot "$root" mkinitramfs -c zstd -l 1 -o /made/initramfs-tools.img "$version"
bootselect integrate --remove dracut initramfs-tools systemd
chroot "$root" rm -r /opt/slotboot

# The Debian package, whose installation alone brings the initramfs up to date.
printf '%s\n' COMPRESS=zstd COMPRESSLEVEL=1 >>"$root/etc/initramfs-tools/initramfs.conf"
chroot "$root" env INITRD=Yes update-initramfs -c -k "$version"
chroot "$root" sh -c 'INITRD=Yes apt-get install --yes --no-install-recommends /made/*.deb'
cp "$root/boot/initrd.img-$version" "$root/made/debian-package.img"
chroot "$root" systemctl is-enabled bootselect-health bootselect-mark-good >"$output/enabled-by-package"
chroot "$root" bootselect integrate --list --json >"$output/listed.json"
dracut --omit systemd /made/dracut-without-systemd.img
chroot "$root" env INITRD=Yes dpkg --remove slotboot
chroot "$root" lsinitramfs "/boot/initrd.img-$version" >"$output/after-removal"
cp "$root/made"/*.img "$output/"
cp "$root/boot/vmlinuz-$version" "$output/vmlinuz"
"""
"""Run by mmdebstrap outside of the new Debian: $1 is its root, $2 the folder for what is built."""


@pytest.fixture(scope="session")
def foreign(slotboot_folder: Path) -> Path:
    """A folder with ``vmlinuz``, an initramfs of each tool, and what the new Debian said in between."""

    def build() -> str:
        return str(build_in_debian(PACKAGES, INSTALL, "foreign"))

    return Path(shared_result(slotboot_folder, "foreign", build))


@pytest.fixture(scope="session")
def by_mkosi(slotboot_folder: Path) -> Path:
    """A folder with ``vmlinuz`` and ``initramfs.cpio.zst``."""

    def build() -> str:
        def fill(output: Path) -> None:
            run_tool("mkosi", "--directory", ROOT / "examples/mkosi", "--output-dir", output, "build")

        return str(kept("mkosi", (), (*SOURCES, "examples/mkosi"), fill) / "debian~bookworm")

    return Path(shared_result(slotboot_folder, "mkosi", build))


GROWTH = 64 << 20


@pytest.fixture
def grown(materials: Materials, tmp_path: Path) -> Path:
    """The default image with USR-A armed, copied to a larger disk: the backup of the table is not at its end."""
    image = tmp_path / "disk.raw"
    shutil.copy(materials.image, image)
    subprocess.run(["cgpt", "add", "-i", "2", "-P", "2", "-T", "3", "-S", "0", str(image)], check=True)
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size + GROWTH)
    assert find_problems(image)
    return image


def takes_over_the_grown_disk(machine: Machine, kernel: DirectKernel) -> None:
    """The selector counts the try of USR-A and moves the backup of the table; the slot comes up and marks itself good."""
    machine.boot(kernel=kernel)
    machine.wait_for_line(r"bootselect: booting slot USR-A \(partition 2, version 1\), now 2/2/0")
    assert machine.wait_until_ready().label == "USR-A"
    # sgdisk and cgpt find no problem any more.
    assert machine.judge().slots == {"USR-A": "2/0/1", "USR-B": "0/0/0"}


@dataclass(frozen=True)
class Foreign:
    """An initramfs that another tool has built, and what that tool wants on the kernel's command line."""

    name: str
    switch: str

    def kernel(self, folder: Path, *settings: str) -> DirectKernel:
        words = " ".join([CMDLINE, self.switch, *settings])
        return DirectKernel(folder / "vmlinuz", folder / f"{self.name}.img", words)


TOOLS = (
    Foreign("initramfs-tools", "boot=bootselect"),
    # With systemd, as distributions have it.
    Foreign("dracut", "root=bootselect"),
    # Of initramfs-tools again, made when the Debian package was installed.
    Foreign("debian-package", "boot=bootselect"),
    Foreign("dracut-without-systemd", "root=bootselect"),
)
ALL = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
BOTH = pytest.mark.parametrize("tool", TOOLS[:2], ids=lambda tool: tool.name)
ROOMY = Hardware(memory=1024)


@ALL
def test_an_armed_update_on_a_grown_disk_is_counted_in_the_initramfs_of(
    tool: Foreign, foreign: Path, grown: Path, slotboot_machines: MakeMachine
) -> None:
    machine = slotboot_machines(grown, f"foreign-grown-{tool.name}", ROOMY)
    takes_over_the_grown_disk(machine, tool.kernel(foreign))


def test_the_debian_package_puts_everything_in_place_and_takes_it_out_again(foreign: Path) -> None:
    listed = json.loads((foreign / "listed.json").read_text())
    assert len(listed) == 9
    assert {one["state"] for one in listed} == {"in place, by a package or by hand"}
    assert not [name for name in (foreign / "after-removal").read_text().split() if "bootselect" in name]
    # The first time is from the wheel; the same holds for it.
    for name in ("enabled-by-wheel", "enabled-by-package"):
        assert (foreign / name).read_text() == "enabled\nenabled\n"


@pytest.fixture
def sealed(slotboot_folder: Path, tmp_path: Path) -> Path:
    """A disk with the same sealed slot twice, both known to boot; the better one, USR-B, was changed behind its first MiB."""
    image = tmp_path / "sealed.raw"
    shutil.copy(sealed_variant(slotboot_folder).image, image)
    with Disk.open(image) as disk:
        table = disk.table()
    good, changed = (table.partition(table.find(label=label)[0]) for label in ("USR-A", "USR-B"))
    with image.open("r+b") as file:
        file.seek(good.first_lba * 512)
        content = bytearray(file.read(good.sectors * 512))
        content[1 << 20 : 7 << 20] = bytes(6 << 20)
        file.seek(changed.first_lba * 512)
        file.write(content)
    subprocess.run(["cgpt", "add", "-i", "3", "-P", "2", "-T", "0", "-S", "1", str(image)], check=True)
    return image


@BOTH
def test_a_sealed_slot_is_mounted_after_another_was_passed_over_in_the_initramfs_of(
    tool: Foreign, foreign: Path, sealed: Path, slotboot_machines: MakeMachine
) -> None:
    machine = slotboot_machines(sealed, f"foreign-sealed-{tool.name}", ROOMY)
    machine.boot(kernel=tool.kernel(foreign, "bootselect.verity=required"))
    machine.wait_for_line("slot USR-B is marked bad and the next one is taken")
    assert machine.wait_until_ready().label == "USR-A"
    # The kernel's name for it, or that of util-linux.
    assert re.search("^/dev/(dm-0|mapper/slot) / erofs ro", machine.run("cat /proc/mounts").output, re.MULTILINE)
    assert machine.judge().slots == {"USR-A": "1/0/1", "USR-B": "2/0/0"}


@BOTH
def test_the_kernel_of_the_slot_is_started_by_the_initramfs_of(
    tool: Foreign, foreign: Path, slotboot_folder: Path, slotboot_machines: MakeMachine
) -> None:
    machine = slotboot_machines(kexec_variant(slotboot_folder).image, f"foreign-kexec-{tool.name}", ROOMY)
    machine.boot(kernel=tool.kernel(foreign, "bootselect.hand-over=kexec"))
    machine.wait_for_line("starting the kernel of slot USR-A")
    assert machine.wait_until_ready().label == "USR-A"
    words = machine.run("cat /proc/cmdline").output.split()
    assert "slot=USR-A" in words
    assert tool.switch not in words


@pytest.mark.skipif(os.geteuid() != 0, reason="mkosi 14 builds as root only")
def test_an_armed_update_on_a_grown_disk_is_counted_in_the_initramfs_of_the_mkosi_example(
    by_mkosi: Path, grown: Path, slotboot_machines: MakeMachine
) -> None:
    kernel = DirectKernel(by_mkosi / "vmlinuz", by_mkosi / "initramfs.cpio.zst", CMDLINE)
    takes_over_the_grown_disk(slotboot_machines(grown, "foreign-mkosi"), kernel)
