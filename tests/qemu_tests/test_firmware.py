"""The firmware: found where distributions put it, and never shared for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import MissingFirmwareError
from qemu_tests.harness.hardware.firmware import FirmwareFiles, find_firmware

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_firmware_names_the_package(tmp_path: Path) -> None:
    places = [(tmp_path / "CODE.fd", tmp_path / "VARS.fd"), (tmp_path / "b" / "CODE.fd", tmp_path / "b" / "VARS.fd")]
    with pytest.raises(MissingFirmwareError) as caught:
        find_firmware(places)
    assert str(caught.value) == (
        f"UEFI firmware of this kind for a virtual machine of x86_64: {tmp_path / 'CODE.fd'}: not there, nor in 1 other usual "
        "places; install it (Debian: apt-get install ovmf)"
    )


def test_code_without_variables_is_not_enough(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "CODE.fd", other / "CODE.fd", other / "VARS.fd"):
        path.touch()
    places = [(tmp_path / "CODE.fd", tmp_path / "VARS.fd"), (other / "CODE.fd", other / "VARS.fd")]
    assert find_firmware(places) == FirmwareFiles(other / "CODE.fd", other / "VARS.fd")


def test_there_is_no_secure_boot_for_a_machine_of_another_kind() -> None:
    with pytest.raises(MissingFirmwareError, match=r"machine of aarch64: none; .*qemu-efi-aarch64"):
        find_firmware(arch="aarch64", secure_boot=True)
