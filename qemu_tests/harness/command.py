"""The command line that boots an image by hand, with the serial console on the terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.harness.hardware import DISK_NODE, UPDATE_NODE, Hardware, common_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.firmware import Firmware


def command(
    image: Path,
    image_format: str,
    accelerator: Accelerator,
    firmware: Firmware,
    *,
    update: tuple[Path, str] | None = None,
    snapshot: bool = False,
    graphic: bool = False,
) -> list[str]:
    """The argv. ``update`` is the medium in the second drive and its format; ``snapshot`` throws all writes away at the end.

    The firmware forgets its variables at the end: the image boots without any.
    """
    words = [
        *common_arguments(accelerator, Hardware()),
        *("-machine", "q35"),
        *("-drive", _options("if=pflash,unit=0,format=raw,readonly=on", firmware.code)),
        *("-drive", _options("if=pflash,unit=1,format=raw,snapshot=on", firmware.variables)),
        *("-drive", _options(f"if=none,id={DISK_NODE},format={image_format}{',snapshot=on' * snapshot}", image)),
        *("-device", f"virtio-blk-pci,drive={DISK_NODE},bootindex=1"),
        *("-serial", "mon:stdio"),
        *(("-vga", "std") if graphic else ("-display", "none")),
    ]
    if update is not None:
        medium, medium_format = update
        words += [
            *("-drive", _options(f"if=none,id={UPDATE_NODE},format={medium_format},readonly=on", medium)),
            *("-device", f"virtio-blk-pci,drive={UPDATE_NODE}"),
        ]
    return words


def _options(options: str, file: Path) -> str:
    # A comma in a path would begin the next option.
    return f"{options},file={str(file.resolve()).replace(',', ',,')}"
