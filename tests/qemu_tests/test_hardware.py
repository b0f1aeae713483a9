"""The command lines of QEMU."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from qemu_tests.errors import HardwareError
from qemu_tests.harness import command
from qemu_tests.harness.accel import Accelerator
from qemu_tests.harness.hardware import Bios, DirectKernel, Hardware, Uefi, UserNetwork
from qemu_tests.harness.hardware.command_line import (
    Assembly,
    held_arguments,
    machine_arguments,
    read_only_file,
    served,
)
from qemu_tests.harness.hardware.firmware import FirmwareFiles
from qemu_tests.harness.hardware.ports import forwarded_ports
from qemu_tests.harness.machine.parts import check_hardware

TCG = Accelerator("tcg", "", 0.4)
FIRMWARE = FirmwareFiles(Path("/usr/share/OVMF/CODE.fd"), Path("/usr/share/OVMF/VARS.fd"))


def pairs(argv: list[str]) -> set[tuple[str, str]]:
    return set(itertools.pairwise(argv))


def assembled(hardware: Hardware | None = None, **parts: object) -> list[str]:
    hardware = hardware or Hardware()
    uefi = isinstance(hardware.firmware, Uefi)
    assembly = Assembly(
        hardware,
        TCG,
        hardware.firmware,
        served("disk", 10),
        read_only_file("code", FIRMWARE.code) if uefi else None,
        served("variables", 11) if uefi else None,
    )
    return machine_arguments(replace(assembly, **parts))  # type: ignore[arg-type]  # checked by the tests


def test_the_machine_is_held_at_the_start_and_at_every_boot_boundary() -> None:
    argv = held_arguments({"monitor": 7, "serial": 8, "control": 9})
    assert "-S" in argv
    assert ("-action", "reboot=shutdown,shutdown=pause") in pairs(argv)
    assert ("-chardev", "socket,id=monitor,fd=7") in pairs(argv)
    assert ("-chardev", "socket,id=serial,fd=8") in pairs(argv)
    assert ("-chardev", "socket,id=control,fd=9") in pairs(argv)
    assert ("-device", "virtserialport,chardev=control,id=agent,name=org.slotboot.control") in pairs(argv)
    assert "-incoming" not in argv


def test_the_disk_is_behind_a_descriptor_and_its_errors_are_the_guests() -> None:
    argv = assembled()
    (node,) = (json.loads(word) for word in argv if '"node-name": "disk"' in word)
    assert node["server"] == {"type": "fd", "str": "10"}
    assert ("-device", "virtio-blk-pci,drive=disk,bootindex=1,werror=report,rerror=report") in pairs(argv)


@pytest.mark.parametrize(
    ("bus", "devices"),
    [
        ("nvme", ["nvme,serial=slotboot,drive=disk,bootindex=1"]),
        ("scsi", ["virtio-scsi-pci,id=scsi", "scsi-hd,bus=scsi.0,drive=disk,bootindex=1,werror=report,rerror=report"]),
        ("usb", ["qemu-xhci,id=usb", "usb-storage,bus=usb.0,drive=disk,bootindex=1,werror=report,rerror=report"]),
    ],
)
def test_the_disk_can_be_on_another_bus(bus: str, devices: list[str]) -> None:
    argv = assembled(Hardware(bus=bus))  # type: ignore[arg-type]  # one of the literals
    assert all(("-device", device) in pairs(argv) for device in devices)


def test_sectors_can_have_4096_bytes() -> None:
    (device,) = (word for word in assembled(Hardware(sector_size=4096)) if word.startswith("virtio-blk"))
    assert "logical_block_size=4096,physical_block_size=4096" in device


def test_the_update_medium_and_the_code_of_the_firmware_cannot_be_written(tmp_path: Path) -> None:
    medium = tmp_path / "a, b.update"
    argv = assembled(update=read_only_file("update", medium, "raw"))
    nodes = {node["node-name"]: node for node in (json.loads(word) for word in argv if word.startswith("{"))}
    assert nodes["update"] == {
        "node-name": "update",
        "driver": "raw",
        "read-only": True,
        "file": {"driver": "file", "filename": str(medium), "read-only": True},
    }
    assert nodes["code"]["read-only"] is True
    assert nodes["variables"]["read-only"] is False


def test_nothing_is_in_the_machine_that_was_not_asked_for() -> None:
    argv = assembled()
    assert argv[0] == "qemu-system-x86_64"
    assert {"-nodefaults", "-no-user-config"} <= set(argv)
    assert {("-accel", "tcg"), ("-nic", "none"), ("-m", "256"), ("-smp", "1")} <= pairs(argv)
    assert not {"-vga", "-tpmdev", "-netdev", "-append"} & set(argv)


def test_what_starts_the_machine_is_chosen() -> None:
    assert ("-machine", "q35,pflash0=code,pflash1=variables") in pairs(assembled())
    secure = assembled(Hardware(firmware=Uefi(secure_boot=True)))
    assert ("-machine", "q35,smm=on,pflash0=code,pflash1=variables") in pairs(secure)
    assert ("-global", "driver=cfi.pflash01,property=secure,value=on") in pairs(secure)
    bios = assembled(Hardware(firmware=Bios()))
    assert ("-machine", "q35") in pairs(bios)
    assert not any("pflash" in word for word in bios)
    direct = assembled(Hardware(firmware=DirectKernel(Path("/linux"), Path("/initrd"), "gpt quiet")))
    assert {("-kernel", "/linux"), ("-initrd", "/initrd"), ("-append", "gpt quiet")} <= pairs(direct)
    arm = assembled(Hardware(arch="aarch64"))
    assert arm[0] == "qemu-system-aarch64"
    assert ("-machine", "virt,pflash0=code,pflash1=variables") in pairs(arm)


def test_parts_are_there_when_they_are_asked_for() -> None:
    argv = assembled(
        Hardware(
            memory=512,
            cpus=2,
            nics=(UserNetwork(forwards=(22, 80)),),
            watchdog=True,
            tpm=True,
            display=True,
            extra=("-smbios", "type=11,value=x"),
        ),
        sockets={"tpm": 12},
    )
    forwards = "hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:0-:80"
    assert {
        ("-m", "512"),
        ("-smp", "2"),
        ("-netdev", f"user,id=nic0,restrict=on,{forwards}"),
        ("-device", "virtio-net-pci,netdev=nic0,romfile="),
        ("-device", "i6300esb"),
        ("-chardev", "socket,id=tpm,fd=12"),
        ("-device", "tpm-tis,tpmdev=tpm0"),
        ("-vga", "std"),
        ("-smbios", "type=11,value=x"),
    } <= pairs(argv)


@pytest.mark.parametrize(
    ("hardware", "reason"),
    [
        (Hardware(arch="aarch64", firmware=Bios()), "aarch64 is started by UEFI firmware only"),
        (Hardware(arch="aarch64", watchdog=True), "has neither the watchdog nor Secure Boot here"),
        (Hardware(sector_size=4096, firmware=Bios()), "boots from sectors of 512 bytes only"),
    ],
)
def test_parts_that_do_not_fit_are_refused(hardware: Hardware, reason: str) -> None:
    with pytest.raises(HardwareError, match=reason):
        check_hardware("m1", hardware)


SHOWN = """\
Hub -1 (nic0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  22       127.0.0.1 40123       10.0.2.15    22     0     0
  TCP[ESTABLISHED]   23       127.0.0.1 40123       10.0.2.15    22     0     0
  TCP[HOST_FORWARD]  24       127.0.0.1 35001       10.0.2.15  8080     0     0
"""
"""What QEMU 7.2 shows."""


def test_the_ports_of_the_host_are_those_that_qemu_shows() -> None:
    assert forwarded_ports(SHOWN) == {22: 40123, 8080: 35001}


def test_by_hand_a_comma_in_a_path_is_no_option() -> None:
    argv = command.command(Path("/tmp/a, b.raw"), "raw", TCG, FIRMWARE)  # noqa: S108
    assert ("-drive", "if=none,id=disk,format=raw,file=/tmp/a,, b.raw") in pairs(argv)
    assert ("-display", "none") in pairs(argv)


def test_by_hand_writes_can_be_thrown_away_and_an_update_be_at_hand() -> None:
    argv = command.command(
        Path("/i.raw"), "raw", TCG, FIRMWARE, update=(Path("/u.update"), "raw"), snapshot=True, graphic=True
    )
    assert ("-drive", "if=none,id=disk,format=raw,snapshot=on,file=/i.raw") in pairs(argv)
    (medium,) = (json.loads(word) for word in argv if '"node-name": "update"' in word)
    assert medium["read-only"] is True
    assert ("-vga", "std") in pairs(argv)
