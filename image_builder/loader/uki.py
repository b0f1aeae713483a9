"""A UKI: one program that the firmware starts by itself, with kernel, initramfs and command line in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.boot.chain import boot_of, command_line, initramfs_file, kernel_of
from image_builder.distribution.sources import builder_digest, digest_of
from image_builder.errors import PackageContentError
from image_builder.loader.uki_file import build_uki

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition

BOOT_PROGRAM = "EFI/BOOT/BOOTX64.EFI"
"""What firmware starts from a disk that it has no boot entry for (UEFI 2.10 section 3.5.1.1)."""
_STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
_RELEASE = 'ID="slotboot"\nNAME="slotboot"\nPRETTY_NAME="slotboot"\n'
"""The initramfs is of no version: a new version of the slot must not need a new one."""


@dataclass(frozen=True)
class Uki:
    """See ``Loader``."""

    kind: str = "uki"
    places: tuple[str, ...] = (BOOT_PROGRAM,)

    def tools(self, definition: Definition) -> Iterable[str]:
        """See ``Loader``."""
        return ("objcopy", "objdump", "readelf", boot_of(definition).compression)

    def files(self, build: Build) -> Mapping[str, Path]:
        """See ``Loader``. The program is in the cache."""
        stub = build.packages.package("systemd-boot-efi")
        program = stub.root / _STUB
        if not program.is_file():
            raise PackageContentError(program, "it is missing from its package")
        initramfs, kernel, cmdline = initramfs_file(build), kernel_of(build), command_line(build.definition)
        key = digest_of({}, builder_digest(), initramfs.name, kernel.identity, stub.identity, cmdline)

        def make(output: Path) -> None:
            with build.progress.step("UKI"):
                build_uki(
                    build.runner,
                    output,
                    stub=program,
                    kernel=kernel.image,
                    initramfs=initramfs,
                    cmdline=cmdline,
                    os_release=_RELEASE,
                )

        return {BOOT_PROGRAM: build.cache.publish_file(Path("uki", f"{key}.efi"), make)}
