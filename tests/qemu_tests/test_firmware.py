"""The firmware: found where distributions put it, and never shared for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import MissingFirmwareError
from qemu_tests.harness.firmware import Firmware, find_firmware

if TYPE_CHECKING:
    from pathlib import Path


def test_missing_firmware_names_the_package(tmp_path: Path) -> None:
    places = [(tmp_path / "CODE.fd", tmp_path / "VARS.fd"), (tmp_path / "b" / "CODE.fd", tmp_path / "b" / "VARS.fd")]
    with pytest.raises(MissingFirmwareError) as caught:
        find_firmware(places)
    assert str(caught.value) == (
        f"{tmp_path / 'CODE.fd'}: no UEFI firmware for the virtual machine here nor in 1 other usual places; "
        "install it (Debian: apt-get install ovmf)"
    )


def test_code_without_variables_is_not_enough(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in (tmp_path / "CODE.fd", other / "CODE.fd", other / "VARS.fd"):
        path.touch()
    places = [(tmp_path / "CODE.fd", tmp_path / "VARS.fd"), (other / "CODE.fd", other / "VARS.fd")]
    assert find_firmware(places) == Firmware(other / "CODE.fd", other / "VARS.fd")


def test_a_machine_keeps_the_variables_it_has(tmp_path: Path) -> None:
    template, own = tmp_path / "VARS.fd", tmp_path / "own.fd"
    template.write_bytes(b"empty")
    firmware = Firmware(tmp_path / "CODE.fd", template)
    assert firmware.private_variables(own).read_bytes() == b"empty"
    own.write_bytes(b"boot order")
    assert firmware.private_variables(own).read_bytes() == b"boot order"
    assert template.read_bytes() == b"empty"
