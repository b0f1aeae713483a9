"""Arming a watchdog: a driver's device, or the registers of one that has no driver."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from bootselect.watchdog import WatchdogError, arm_watchdog, stop_watchdog

if TYPE_CHECKING:
    from pathlib import Path


def pci_device(folder: Path, vendor: str, device: str) -> Path:
    path = folder / "pci/0000:00:03.0"
    path.mkdir(parents=True)
    (path / "vendor").write_text(f"{vendor}\n")
    (path / "device").write_text(f"{device}\n")
    (path / "enable").write_bytes(b"0")
    (path / "config").write_bytes(bytes(256))
    (path / "resource0").write_bytes(bytes(16))  # as QEMU has it
    return path


def test_a_6300esb_is_armed_by_its_registers(tmp_path: Path) -> None:
    device = pci_device(tmp_path, "0x8086", "0x25ab")
    assert "0000:00:03.0" in arm_watchdog(30, str(tmp_path / "watchdog"), str(tmp_path / "pci"))
    assert (device / "enable").read_bytes() == b"1"
    config = (device / "config").read_bytes()
    assert (config[0x60:0x62], config[0x68]) == (b"\x03\x00", 2)
    timers = struct.unpack("<II", (device / "resource0").read_bytes()[:8])
    assert timers == (15 * 1024, 15 * 1024)  # two stages of 15 s at 1024 Hz


def test_a_6300esb_is_stopped_and_nothing_else_is_changed(tmp_path: Path) -> None:
    device = pci_device(tmp_path, "0x8086", "0x25ab")
    arm_watchdog(30, str(tmp_path / "watchdog"), str(tmp_path / "pci"))
    armed = bytearray((device / "config").read_bytes())
    assert "0000:00:03.0" in stop_watchdog(str(tmp_path / "watchdog"), str(tmp_path / "pci"))
    armed[0x68] = 0
    assert (device / "config").read_bytes() == armed


def test_a_driver_s_watchdog_is_stopped_by_the_magic_character(tmp_path: Path) -> None:
    (tmp_path / "watchdog").touch()
    assert stop_watchdog(str(tmp_path / "watchdog"), str(tmp_path)) == str(tmp_path / "watchdog")
    assert (tmp_path / "watchdog").read_bytes() == b"V"


def test_a_machine_without_a_watchdog_says_so(tmp_path: Path) -> None:
    pci_device(tmp_path, "0x8086", "0x1234")
    with pytest.raises(WatchdogError, match=r"there is no .*watchdog and no 6300ESB"):
        arm_watchdog(30, str(tmp_path / "watchdog"), str(tmp_path / "pci"))
    assert stop_watchdog(str(tmp_path / "watchdog"), str(tmp_path / "pci")) == ""


def test_a_watchdog_that_refuses_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "watchdog").touch()
    with pytest.raises(WatchdogError, match=r"the watchdog is not armed: .*Inappropriate ioctl"):
        arm_watchdog(30, str(tmp_path / "watchdog"), str(tmp_path))
