"""What boots the slots: kernel, initramfs and command line, made once for the image and for slots that bring their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.formats.slot_files import CMDLINE, INITRAMFS, KERNEL
from bootselect.initramfs.config import AUTO, KEXEC, OFF
from bootselect.integration.needs import FIRMWARE_VARIABLES, VERITY
from image_builder.boot.cmdline import kernel_command_line
from image_builder.boot.initramfs import DISKS, build_initramfs
from image_builder.content.inside import extract_kernel
from image_builder.definition.model import DISTRIBUTION
from image_builder.distribution.kernel import given_kernel, kernel_of_system, target_kernel
from image_builder.distribution.python import boot_python
from image_builder.distribution.sources import builder_digest, digest_of
from image_builder.errors import DefinitionError, Mistake, PackageContentError
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.source import FolderSource

if TYPE_CHECKING:
    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import Boot, Definition
    from image_builder.distribution.kernel import Kernel

_BUSYBOX = "bin/busybox"


def boot_of(definition: Definition) -> Boot:
    """The section [boot]. Raises DefinitionError where there is none."""
    if definition.boot is None:
        raise DefinitionError(Mistake(definition.path, "boot", "there is no such section; expected one"))
    return definition.boot


def command_line(definition: Definition) -> str:
    """The command line of the kernel. Raises DefinitionError."""
    return kernel_command_line(boot_of(definition))


def busybox_of(build: Build) -> Path:
    """The static BusyBox of the target. Raises PackageContentError and what ``TargetPackages.packages`` raises."""
    path = build.packages.package("busybox-static").root / _BUSYBOX
    if not path.is_file():
        raise PackageContentError(path, "it is missing from its package")
    return path


def kernel_of(build: Build) -> Kernel:
    """The kernel of the boot chain: the distribution's, the one in a slot, or the one that is given.

    Raises PackageContentError, and what making a slot's tree and ``TargetPackages.packages`` raise.
    """
    boot = build.definition.boot
    if boot is None or boot.kernel == DISTRIBUTION:
        return target_kernel(build.packages)
    if isinstance(boot.kernel, str):
        return _kernel_of_slot(build, next(slot for slot in build.definition.slots if slot.name == boot.kernel))
    if boot.modules is None:
        raise PackageContentError(boot.kernel, "the folder of its modules is not given")
    return given_kernel(boot.kernel, boot.modules)


def _kernel_of_slot(build: Build, slot: Slot) -> Kernel:
    source = slot.system.source(build, slot, (), build.cache.root)
    if isinstance(source, FolderSource):
        return kernel_of_system(source.path)
    key = digest_of({}, builder_digest(), slot.system.key(build, slot))

    def extract(folder: Path) -> None:
        with build.progress.step(f"kernel of {slot.name}"):
            extract_kernel(source, folder)

    return kernel_of_system(build.cache.publish_folder(Path("kernels", key), extract))


def initramfs_file(build: Build) -> Path:
    """The initramfs with the selector, in the cache; its name changes whenever its content does."""
    boot = boot_of(build.definition)
    with build.progress.step("kernel and interpreter of the initramfs"):
        python = boot_python(build.runner, build.packages, build.cache, kexec=boot.hand_over == KEXEC)
        busybox = build.packages.package("busybox-static")
        kernel = kernel_of(build)
    settings, modules = boot_settings(build.definition), initramfs_modules(build.definition)
    identities = (python.identity, kernel.identity, busybox.identity, boot.compression, repr(modules))
    key = digest_of({}, builder_digest(), *identities, repr(sorted(settings.items())))

    def make(output: Path) -> None:
        with build.progress.step("initramfs"):
            build_initramfs(
                build.runner,
                output,
                python=python,
                kernel=kernel,
                busybox=busybox_of(build),
                boot_conf=settings,
                modules=modules,
                compression=boot.compression,
            )

    return build.cache.publish_file(Path("initramfs", key), make)


def initramfs_modules(definition: Definition) -> tuple[str, ...]:
    """The kernel modules of the initramfs: for disks, for the file systems of the slots, and for what [boot] asks for."""
    filesystems = {slot.filesystem for slot in definition.slots}
    of_slots = [name for kind in FILESYSTEMS.values() if kind.name in filesystems for name in kind.modules]
    verity = () if boot_of(definition).verity == OFF else VERITY
    return tuple(dict.fromkeys((*DISKS, *of_slots, *FIRMWARE_VARIABLES, *verity)))


def boot_settings(definition: Definition) -> dict[str, str]:
    """The selector's ``boot.conf`` (docs/bootselect.md)."""
    boot = boot_of(definition)
    return {
        "policy": boot.policy,
        "slot-type": definition.slots[0].type,
        "fstype": AUTO,
        "on-nothing-bootable": boot.on_nothing_bootable,
        "hand-over": boot.hand_over,
        "verity": boot.verity,
        "watchdog": str(boot.watchdog),
    }


def own_kernel_files(build: Build, folder: Path) -> dict[str, Path]:
    """The files by which a slot brings a kernel of its own, by their paths in it; ``folder`` is for the command line."""
    text = folder / "cmdline"
    text.write_text(f"{command_line(build.definition)}\n", encoding="utf-8")
    return {KERNEL: kernel_of(build).image, INITRAMFS: initramfs_file(build), CMDLINE: text}
