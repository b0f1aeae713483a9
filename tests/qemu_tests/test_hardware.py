"""The command lines of QEMU."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from qemu_tests.harness import command, hardware
from qemu_tests.harness.accel import Accelerator
from qemu_tests.harness.firmware import Firmware
from qemu_tests.harness.hardware import Hardware, Wires

TCG = Accelerator("tcg", "", 0.4)
FIRMWARE = Firmware(Path("/usr/share/OVMF/CODE.fd"), Path("/usr/share/OVMF/VARS.fd"))


def pairs(argv: list[str]) -> set[tuple[str, str]]:
    return set(itertools.pairwise(argv))


def test_the_machine_is_held_at_the_start_and_at_every_boot_boundary() -> None:
    argv = hardware.bench_arguments(Wires(7, 8, 9, 10))
    assert "-S" in argv
    assert ("-action", "reboot=shutdown,shutdown=pause") in pairs(argv)
    assert ("-chardev", "socket,id=monitor,fd=7") in pairs(argv)
    assert ("-chardev", "socket,id=serial,fd=8") in pairs(argv)
    assert ("-chardev", "socket,id=control,fd=9") in pairs(argv)
    assert ("-device", "virtserialport,chardev=control,name=org.slotboot.control") in pairs(argv)


def test_the_disk_is_behind_a_descriptor_and_its_errors_are_the_guests() -> None:
    argv = hardware.disk_arguments(10, None)
    assert json.loads(argv[1])["server"] == {"type": "fd", "str": "10"}
    assert argv[3].endswith(",werror=report,rerror=report")


def test_the_update_medium_cannot_be_written(tmp_path: Path) -> None:
    medium = tmp_path / "a, b.update"
    argv = hardware.disk_arguments(10, hardware.update_blockdev(medium, "raw"))
    node = json.loads(argv[argv.index("-device") + 3])
    assert node == {
        "node-name": "update",
        "driver": "raw",
        "read-only": True,
        "file": {"driver": "file", "filename": str(medium), "read-only": True},
    }


def test_the_firmware_code_cannot_be_written(tmp_path: Path) -> None:
    argv = hardware.firmware_arguments(FIRMWARE, tmp_path / "own.fd")
    assert json.loads(argv[1])["read-only"] is True
    assert json.loads(argv[3]) == {"driver": "file", "node-name": "vars", "filename": str(tmp_path / "own.fd")}


def test_nothing_is_in_the_machine_that_was_not_asked_for() -> None:
    argv = hardware.common_arguments(TCG, Hardware())
    assert argv[0] == "qemu-system-x86_64"
    assert {"-nodefaults", "-no-user-config"} <= set(argv)
    assert {("-accel", "tcg"), ("-nic", "none"), ("-m", "256"), ("-smp", "1")} <= pairs(argv)


def test_by_hand_a_comma_in_a_path_is_no_option() -> None:
    argv = command.command(Path("/tmp/a, b.raw"), "raw", TCG, FIRMWARE)  # noqa: S108
    assert ("-drive", "if=none,id=disk,format=raw,file=/tmp/a,, b.raw") in pairs(argv)
    assert ("-display", "none") in pairs(argv)


def test_by_hand_writes_can_be_thrown_away_and_an_update_be_at_hand() -> None:
    argv = command.command(
        Path("/i.raw"), "raw", TCG, FIRMWARE, update=(Path("/u.update"), "raw"), snapshot=True, graphic=True
    )
    assert ("-drive", "if=none,id=disk,format=raw,snapshot=on,file=/i.raw") in pairs(argv)
    assert ("-drive", "if=none,id=update,format=raw,readonly=on,file=/u.update") in pairs(argv)
    assert ("-vga", "std") in pairs(argv)
