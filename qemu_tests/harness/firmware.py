"""UEFI firmware for the virtual machine: EDK2's OVMF, with a variable store of its own for each machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import MissingFirmwareError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)
PLACES = tuple((Path(code), Path(variables)) for code, variables in _PLACES)


@dataclass(frozen=True)
class Firmware:
    """The code, which is never written, and the template of the variable store."""

    code: Path
    variables: Path

    def private_variables(self, target: Path) -> Path:
        """A store that one machine may write: made from the template unless the machine has it already."""
        if not target.exists():
            shutil.copyfile(self.variables, target)
        return target


def find_firmware(places: Sequence[tuple[Path, Path]] = PLACES) -> Firmware:
    """The firmware that is installed. Raises MissingFirmwareError."""
    for code, variables in places:
        if code.is_file() and variables.is_file():
            return Firmware(code, variables)
    raise MissingFirmwareError([code for code, _ in places])
