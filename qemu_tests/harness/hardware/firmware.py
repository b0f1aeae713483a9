"""UEFI firmware for the virtual machine: EDK2's OVMF and AAVMF, with a variable store of its own for each machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import MissingFirmwareError

if TYPE_CHECKING:
    from collections.abc import Sequence

_X86_64 = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian, Ubuntu
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)
_X86_64_SECURE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"),
)
_AARCH64 = (
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"),
)
PACKAGES = {"x86_64": "ovmf", "aarch64": "qemu-efi-aarch64"}
"""Debian's packages of the firmware, by architecture."""


@dataclass(frozen=True)
class FirmwareFiles:
    """The code, which is never written, and the template of the variable store."""

    code: Path
    variables: Path


def places_of(arch: str = "x86_64", *, secure_boot: bool = False) -> tuple[tuple[Path, Path], ...]:
    """Where distributions keep the code and the template of the variables."""
    if arch == "aarch64":
        found: tuple[tuple[str, str], ...] = () if secure_boot else _AARCH64
    else:
        found = _X86_64_SECURE if secure_boot else _X86_64
    return tuple((Path(code), Path(variables)) for code, variables in found)


def find_firmware(
    places: Sequence[tuple[Path, Path]] | None = None, *, arch: str = "x86_64", secure_boot: bool = False
) -> FirmwareFiles:
    """The firmware that is installed. Raises MissingFirmwareError."""
    places = places_of(arch, secure_boot=secure_boot) if places is None else places
    for code, variables in places:
        if code.is_file() and variables.is_file():
            return FirmwareFiles(code, variables)
    raise MissingFirmwareError(arch, [code for code, _ in places], PACKAGES.get(arch, "ovmf"))
