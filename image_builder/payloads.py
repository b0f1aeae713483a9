"""Makes the pieces of an image from its definition and from the target's packages. The slow ones are kept in the cache."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

from bootselect.formats import slot_files
from bootselect.initramfs.config import OFF
from bootselect.integration.needs import VERITY
from image_builder.boot.cmdline import kernel_command_line
from image_builder.boot.initramfs import DEFAULT_MODULES, build_initramfs
from image_builder.boot.uki import build_uki
from image_builder.cache import publish_file
from image_builder.definition.identity import derived_uuid
from image_builder.distribution.kernel import target_kernel
from image_builder.distribution.python import boot_python, slot_python
from image_builder.distribution.sources import digest_of, our_files, package_folder
from image_builder.errors import DefinitionError, PackageContentError
from image_builder.slot.erofs import make_erofs
from image_builder.slot.overlay import digest_of_files, lay_files
from image_builder.slot.parts import SlotParts
from image_builder.slot.seal import seal_image
from image_builder.slot.tiny import fill_tiny_slot
from image_builder.slot.tree import copy_file, fix_folder_modes, working_folder, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import Boot, Definition, SlotDefinition
    from image_builder.distribution.kernel import Kernel
    from image_builder.distribution.packages import TargetPackages
    from image_builder.progress import Progress
    from image_builder.run import Runner

_STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
_BUSYBOX = "bin/busybox"


class Payloads:
    """The pieces of one image. Every method raises what the packages, the tools and the cache raise."""

    def __init__(
        self, definition: Definition, runner: Runner, cache: Path, progress: Progress, packages: TargetPackages
    ) -> None:
        self._definition, self._runner, self._cache = definition, runner, cache
        self._progress, self._packages = progress, packages

    def uki(self) -> Path:
        """The program on the EFI system partition, in the cache."""
        stub = self._packages.package("systemd-boot-efi")
        initramfs = self.initramfs()
        cmdline = self.cmdline
        # The initramfs is of no version: a new version of the slot must not need a new one.
        release = 'ID="slotboot"\nNAME="slotboot"\nPRETTY_NAME="slotboot"\n'
        key = digest_of(_builder_files(), initramfs.name, self._kernel.identity, stub.identity, cmdline, release)

        def make(output: Path) -> None:
            with self._progress.step("UKI"):
                build_uki(
                    self._runner,
                    output,
                    stub=_existing(stub.root / _STUB),
                    kernel=self._kernel.image,
                    initramfs=initramfs,
                    cmdline=cmdline,
                    os_release=release,
                )

        return publish_file(self._cache / "uki" / f"{key}.efi", make)

    @property
    def cmdline(self) -> str:
        """The command line of the kernel."""
        return kernel_command_line(self._boot)

    @property
    def kernel(self) -> Path:
        """The kernel, in the cache."""
        return self._kernel.image

    def initramfs(self) -> Path:
        """The initramfs with the selector, in the cache; its name changes whenever its content does."""
        boot = self._boot
        with self._progress.step("kernel and interpreter of the initramfs"):
            python = boot_python(self._runner, self._packages, self._cache)
            busybox = self._packages.package("busybox-static")
        settings = _boot_settings(boot, self._slot)
        modules = (*DEFAULT_MODULES, *(() if boot.verity == OFF else VERITY))
        inputs = {**_builder_files(), "init": package_folder("bootselect") / "initramfs/init"}
        identities = (python.identity, self._kernel.identity, busybox.identity, boot.compression, repr(modules))
        key = digest_of(inputs, *identities, repr(sorted(settings.items())))

        def make(output: Path) -> None:
            with self._progress.step("initramfs"):
                build_initramfs(
                    self._runner,
                    output,
                    python=python,
                    kernel=self._kernel,
                    busybox=_existing(busybox.root / _BUSYBOX),
                    boot_conf=settings,
                    modules=modules,
                    compression=boot.compression,
                )

        return publish_file(self._cache / "initramfs" / key, make)

    def write_slot(self, output: Path) -> None:
        """Write the slot's file system to ``output``."""
        slot, definition = self._slot, self._definition
        with self._progress.step("interpreter and tools of the slot"):
            python = slot_python(self._runner, self._packages, self._cache)
            busybox = _existing(self._packages.package("busybox-static").root / _BUSYBOX)
        uuid = derived_uuid(definition.seed, f"slot {slot.version} {digest_of_files(slot.files)}")
        with (
            self._progress.step(f"slot, version {slot.version}"),
            working_folder() as folder,
        ):
            tree = folder / "root"
            tree.mkdir(mode=0o755)
            fill_tiny_slot(tree, definition, slot, SlotParts(busybox, python, self._kernel), self._runner)
            if slot.kernel:
                self._add_kernel(tree)
            lay_files(tree, slot.files)
            fix_folder_modes(tree)
            make_erofs(self._runner, tree, output, uuid=uuid, compression=slot.compression)
            if slot.verity:
                seal_image(self._runner, output, uuid=uuid, salt=UUID(uuid).bytes)

    def _add_kernel(self, tree: Path) -> None:
        """The kernel and initramfs that the selector starts with kexec; they take the slot that it has chosen."""
        copy_file(self._kernel.image, tree / slot_files.KERNEL)
        copy_file(self.initramfs(), tree / slot_files.INITRAMFS)
        write_text(tree / slot_files.CMDLINE, f"{self.cmdline}\n")

    @cached_property
    def _kernel(self) -> Kernel:
        return target_kernel(self._packages)

    @property
    def _boot(self) -> Boot:
        if self._definition.boot is None:
            raise self._missing("boot")
        return self._definition.boot

    @property
    def _slot(self) -> SlotDefinition:
        if self._definition.slot is None:
            raise self._missing("slot")
        return self._definition.slot

    def _missing(self, section: str) -> DefinitionError:
        return DefinitionError(self._definition.path, section, "there is no such section; expected one")


def _boot_settings(boot: Boot, slot: SlotDefinition) -> dict[str, str]:
    return {
        "policy": boot.policy,
        "slot-type": slot.type,
        "fstype": slot.filesystem,
        "on-nothing-bootable": boot.on_nothing_bootable,
        "hand-over": boot.hand_over,
        "verity": boot.verity,
        "watchdog": str(boot.watchdog),
    }


def _builder_files() -> dict[str, Path]:
    return {name: file for name, file in our_files(["image_builder"]).items() if "/boot/" in name}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise PackageContentError(path, "it is missing from its package")
    return path
