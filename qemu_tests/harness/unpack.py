"""Takes the kernel out of an image, to boot it without the image's own boot loader or firmware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptlib import Disk, GptError, type_guid
from qemu_tests.errors import ImageError, ToolFailedError
from qemu_tests.harness.hardware import DirectKernel
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from pathlib import Path

LOADER = "EFI/BOOT/BOOTX64.EFI"
_SECTIONS = (".linux", ".initrd", ".cmdline")


def kernel_of(image: Path, folder: Path) -> DirectKernel:
    """Kernel, initramfs and command line of the unified kernel image on the EFI system partition of a raw image.

    ``folder`` takes the files. Raises ImageError when there is none, MissingToolError (mtools, binutils), ToolFailedError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    loader = folder / "loader.efi"
    try:
        with image.open("rb") as file:
            # By its descriptor: mtools takes what follows the first @@ of a path for an offset.
            place = f"/proc/self/fd/{file.fileno()}@@{_esp_offset(image)}"
            run_tool("mcopy", "-n", "-o", "-i", place, f"::/{LOADER}", loader, pass_fds=[file.fileno()])
        dumps = [word for name in _SECTIONS for word in ("--dump-section", f"{name}={folder / name.lstrip('.')}")]
        # objcopy writes an output in any case.
        run_tool("objcopy", *dumps, loader, folder / "unused.efi")
    except ToolFailedError as error:
        raise ImageError(
            image, f"its EFI system partition holds no unified kernel image in /{LOADER}: {error.line}"
        ) from error
    command_line = (folder / "cmdline").read_text(encoding="utf-8").strip(" \n\0")
    return DirectKernel(folder / "linux", folder / "initrd", command_line)


def _esp_offset(image: Path) -> int:
    try:
        with Disk.open(image) as disk:
            table = disk.table()
    except GptError as error:
        raise ImageError(image, f"cannot be read as a disk: {error}") from error
    found = table.find(type_guid=type_guid("esp"))
    if not found:
        raise ImageError(image, "it has no EFI system partition; build one with image-builder")
    return table.partition(found[0]).first_lba * table.sector_size
