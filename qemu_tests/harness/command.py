"""The command line that boots an image by hand, with the serial console on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.harness.hardware.command_line import (
    Assembly,
    file_of_ours,
    machine_arguments,
    read_only_file,
    terminal_arguments,
)
from qemu_tests.harness.hardware.values import Hardware, Uefi

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.accel import Accelerator
    from qemu_tests.harness.hardware.firmware import FirmwareFiles


def command(
    image: Path,
    image_format: str,
    accelerator: Accelerator,
    firmware: FirmwareFiles,
    *,
    update: tuple[Path, str] | None = None,
    snapshot: bool = False,
    graphic: bool = False,
) -> list[str]:
    """The argv. ``update`` is the medium in the second drive and its format; ``snapshot`` throws all writes away at the end.

    The firmware forgets its variables at the end: the image boots without any.
    """
    assembly = Assembly(
        Hardware(),
        accelerator,
        Uefi(),
        file_of_ours("disk", image, image_format, snapshot=snapshot),
        read_only_file("code", firmware.code),
        file_of_ours("variables", firmware.variables, snapshot=True),
        None if update is None else read_only_file("update", *update),
    )
    return [*machine_arguments(assembly), *terminal_arguments(graphic=graphic)]
