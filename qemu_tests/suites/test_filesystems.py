"""Slots of each file system that the selector knows, made by the tools of that file system, sealed by veritysetup, and booted."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.formats.seal import BLOCK, Seal, encode_seal
from bootselect.integration.needs import VERITY
from gptlib import Disk
from image_builder.boot.initramfs import DEFAULT_MODULES, build_initramfs
from image_builder.cache import cache_root
from image_builder.distribution.kernel import target_kernel
from image_builder.distribution.packages import TargetPackages
from image_builder.distribution.python import boot_python
from image_builder.run import SystemRunner
from qemu_tests.harness.hardware import DirectKernel
from qemu_tests.harness.shared import shared_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
MAKE = {
    "erofs": ["mkfs.erofs", "--quiet", "{image}", "{tree}"],
    "squashfs": ["mksquashfs", "{tree}", "{image}", "-quiet", "-no-progress", "-comp", "zstd"],
    "ext4": ["mkfs.ext4", "-q", "-b", "4096", "-d", "{tree}", "{image}", "9M"],
}
_INIT = """\
#!/bin/busybox sh
busybox grep ' / ' /proc/mounts | busybox sed 's/^/mounted: /'
busybox poweroff -f
"""


@pytest.fixture(scope="session")
def plain_kernel(slotboot_folder: Path) -> DirectKernel:
    """A kernel whose initramfs has no settings and no kexec, but the drivers of all file systems."""

    def build() -> list[str]:
        runner, cache = SystemRunner(), cache_root()
        packages = TargetPackages(runner, cache)
        kernel = target_kernel(packages)
        initramfs = build_initramfs(
            runner,
            slotboot_folder / "initramfs-of-file-systems",
            python=boot_python(runner, packages, cache, kexec=False),
            kernel=kernel,
            busybox=packages.package("busybox-static").root / "bin/busybox",
            boot_conf={},
            modules=(*DEFAULT_MODULES, "squashfs", *VERITY),
        )
        return [str(kernel.image), str(initramfs)]

    image, initramfs = shared_result(slotboot_folder, "plain-kernel", build)
    return DirectKernel(Path(image), Path(initramfs), "console=ttyS0 gpt panic=-1")


@pytest.fixture
def filesystem(tmp_path: Path) -> Callable[[str], Path]:
    """The image of a file system with a small system."""

    def make(kind: str) -> Path:
        tree, image = tmp_path / "tree", tmp_path / "slot"
        for name in ("bin", "dev", "etc", "proc", "run", "sbin", "sys"):
            (tree / name).mkdir(parents=True)
        busybox = TargetPackages(SystemRunner(), cache_root()).package("busybox-static").root / "bin/busybox"
        shutil.copy(busybox, tree / "bin/busybox")
        (tree / "bin/busybox").chmod(0o755)
        (tree / "etc/os-release").write_text("IMAGE_VERSION=7\nVERSION=12\n")
        (tree / "sbin/init").write_text(_INIT)
        (tree / "sbin/init").chmod(0o755)
        subprocess.run([word.format(tree=tree, image=image) for word in MAKE[kind]], check=True)
        return image

    return make


def told(kernel: DirectKernel, words: str) -> DirectKernel:
    """The kernel with more on its command line."""
    return replace(kernel, command_line=f"{kernel.command_line} {words}")


def seal(image: Path) -> None:
    """As the builder does; the length of the file system is that of the file."""
    hashes, salt = image.with_name("hashes"), b"salt"
    blocks = -(-image.stat().st_size // BLOCK)
    with image.open("r+b") as stream:
        stream.truncate(blocks * BLOCK)
    sizes = [f"--data-blocks={blocks}", f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"]
    argv = ["veritysetup", "format", str(image), str(hashes), *sizes, f"--salt={salt.hex()}"]
    root = re.search(
        r"Root hash:\s+([0-9a-f]+)", subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    )
    assert root
    with image.open("ab") as stream:
        stream.write(encode_seal(Seal(blocks, blocks + 2, bytes.fromhex(root[1]), salt)))
        stream.write(hashes.read_bytes())


@pytest.fixture
def disk_with(materials: Materials, tmp_path: Path) -> Callable[[Path], Path]:
    """A disk with the image of a file system in USR-B, which is armed; USR-A is empty."""

    def make(slot: Path) -> Path:
        path = tmp_path / "disk.raw"
        shutil.copy(materials.image, path)
        with Disk.open(path) as disk:
            table = disk.table()
        numbers = [table.find(label=label)[0] for label in ("USR-A", "USR-B")]
        with path.open("r+b") as stream:
            for number, content in zip(numbers, (bytes(BLOCK), slot.read_bytes()), strict=True):
                stream.seek(table.partition(number).first_lba * 512)
                stream.write(content)
        for number, bits in zip(numbers, ("1 0 0", "2 3 0"), strict=True):
            priority, tries, successful = bits.split()
            words = ["-i", str(number), "-P", priority, "-T", tries, "-S", successful]
            subprocess.run(["cgpt", "add", *words, str(path)], check=True)
        return path

    return make


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("kind", MAKE)
def test_a_slot_of_any_kind_boots_without_a_setting(
    filesystem: Callable[[str], Path],
    disk_with: Callable[[Path], Path],
    plain_kernel: DirectKernel,
    slotboot_machines: MakeMachine,
    kind: str,
    *,
    sealed: bool,
) -> None:
    slot = filesystem(kind)
    if sealed:
        seal(slot)
    machine = slotboot_machines(disk_with(slot), f"{kind}-{'sealed' if sealed else 'plain'}")
    machine.boot(kernel=told(plain_kernel, "bootselect.verity=required") if sealed else plain_kernel)
    machine.wait_for_line(r"booting slot USR-B \(partition 3, version 7\), now 2/2/0")
    machine.wait_for_line(rf"mounted: /dev/{'dm-0' if sealed else 'vda3'} / {kind} ro")


def test_a_sealed_slot_whose_journal_would_have_to_be_replayed_is_passed_over_with_the_reason(
    filesystem: Callable[[str], Path],
    disk_with: Callable[[Path], Path],
    plain_kernel: DirectKernel,
    slotboot_machines: MakeMachine,
) -> None:
    slot = filesystem("ext4")
    subprocess.run(["debugfs", "-w", "-R", "feature needs_recovery", str(slot)], check=True, capture_output=True)
    seal(slot)
    machine = slotboot_machines(disk_with(slot), "unfinished")
    machine.boot(kernel=told(plain_kernel, "bootselect.verity=required"))
    machine.wait_for_line("slot USR-B is marked bad .*cannot be mounted as ext4: .*; its journal has to be replayed")


def test_a_sealed_slot_with_blocks_smaller_than_those_of_dm_verity_is_passed_over_with_the_reason(
    tmp_path: Path,
    disk_with: Callable[[Path], Path],
    plain_kernel: DirectKernel,
    slotboot_machines: MakeMachine,
) -> None:
    slot = tmp_path / "slot"
    subprocess.run(["mkfs.ext4", "-q", "-b", "1024", str(slot), "4M"], check=True)
    seal(slot)
    machine = slotboot_machines(disk_with(slot), "small-blocks")
    machine.boot(kernel=told(plain_kernel, "bootselect.verity=required"))
    machine.wait_for_line("slot USR-B is marked bad .*its blocks have 1024 bytes, and a sealed slot needs 4096")


def test_a_kexec_that_the_command_line_wants_and_the_initramfs_lacks_is_said_and_the_slot_boots(
    filesystem: Callable[[str], Path],
    disk_with: Callable[[Path], Path],
    plain_kernel: DirectKernel,
    slotboot_machines: MakeMachine,
) -> None:
    machine = slotboot_machines(disk_with(filesystem("erofs")), "no-kexec")
    machine.boot(kernel=told(plain_kernel, "bootselect.hand-over=kexec"))
    machine.wait_for_line("hand-over=kexec: this initramfs was built without it")
    machine.wait_for_line("mounted: /dev/vda3 / erofs ro")
