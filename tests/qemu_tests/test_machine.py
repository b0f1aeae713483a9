"""A machine over many boots, with a stand-in for QEMU and the real qemu-img and judges."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import DamagedTableError, ImageError, MachineStateError
from qemu_tests.harness import hardware
from qemu_tests.harness.accel import Accelerator
from qemu_tests.harness.control import Ready, Result
from qemu_tests.harness.deadlines import NOMINAL_BOOT_SECONDS, Deadlines
from qemu_tests.harness.firmware import Firmware
from qemu_tests.harness.hardware import DirectKernel
from qemu_tests.harness.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qemu_tests.harness.machine import Machine
    from tests.support import SlotImage

FAKE = Path(__file__).with_name("fake_qemu.py")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    program = tmp_path / "fake-qemu"
    started, python, fake = (shlex.quote(str(word)) for word in (tmp_path / "started", sys.executable, FAKE))
    program.write_text(f'#!/bin/sh\necho "$@" >>{started}\nexec {python} -I -S {fake} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(hardware, "QEMU", str(program))
    variables = tmp_path / "VARS.fd"
    variables.write_bytes(b"no variables")
    for folder in (tmp_path / "machines", tmp_path / "logs"):
        folder.mkdir()
    accelerator = Accelerator("tcg", "", 0.4)
    return Lab(tmp_path / "machines", tmp_path / "logs", accelerator, Firmware(tmp_path / "CODE.fd", variables))


@pytest.fixture
def image(slot_image: Callable[..., SlotImage]) -> SlotImage:
    return slot_image((1, 0, 1), (2, 3, 0))


@pytest.fixture
def machine(lab: Lab, image: SlotImage) -> Iterator[Machine]:
    with lab.machine("m1", image.path) as machine:
        yield machine


def test_somebody_can_type_on_the_console(machine: Machine) -> None:
    machine.boot()
    machine.type_line("halp")
    machine.wait_for_line("sh: halp: not found")
    machine.power_cut()
    with pytest.raises(MachineStateError, match="be typed on"):
        machine.type_line("halp")


def test_a_life_of_reboots_and_power_cuts(machine: Machine, tmp_path: Path) -> None:
    assert machine.state == "off"
    machine.boot()
    assert machine.wait_until_ready() == Ready("FAKE", "1", "id-1")
    assert machine.run("uname") == Result(0, "uname")
    assert machine.reboot().kind == "reboot"
    assert machine.state == "held"
    machine.resume("second try")
    assert machine.wait_until_ready() == Ready("FAKE", "2", "id-2")
    machine.power_cut()
    assert machine.state == "off"
    machine.boot(reason="power is back")
    assert machine.wait_until_ready() == Ready("FAKE", "1", "id-1")
    machine.power_off()
    assert machine.state == "off"
    assert machine.boots == 3
    log = (tmp_path / "logs" / "m1.console.log").read_text()
    for line in ("m1: boot 1: power on", "m1: boot 2: second try", "m1: power cut", "m1: boot 3: power is back"):
        assert f"======== {line} ========" in log


def test_the_image_is_never_written(machine: Machine, image: SlotImage) -> None:
    before = image.path.read_bytes()
    for _ in range(2):
        machine.boot()
        session = machine.disk.session
        assert session is not None
        session.write(0, b"x" * 512)
        session.flush()
        machine.power_cut()
    assert machine.disk.read(0, 512) == b"x" * 512
    assert image.path.read_bytes() == before


def test_the_judges_read_a_machine_that_runs_is_held_or_is_off(machine: Machine) -> None:
    slots = {"USR-A": "1/0/1", "USR-B": "2/3/0"}
    assert machine.judge().slots == slots
    machine.boot()
    machine.wait_until_ready()
    assert machine.judge().slots == slots
    machine.reboot()
    assert machine.judge().slots == slots


def test_the_judges_see_damage_between_two_boots(machine: Machine) -> None:
    machine.boot()
    machine.power_cut()
    machine.disk.write_zeros(512, 33 * 512)
    assert machine.judge(whole=False).slots == {"USR-A": "1/0/1", "USR-B": "2/3/0"}
    with pytest.raises(DamagedTableError):
        machine.judge()


def test_what_a_state_does_not_allow_is_refused(machine: Machine) -> None:
    for act, wanted in (
        (machine.power_cut, "lose power"),
        (machine.wait_until_ready, "greet"),
        (machine.wait_for_boundary, "reboot"),
        (machine.wait_for_freeze, "freeze"),
        (machine.power_off, "be switched off"),
        (machine.resume, "resume"),
    ):
        with pytest.raises(MachineStateError, match=f"m1: cannot {wanted}: it is off"):
            act()
    machine.boot()
    with pytest.raises(MachineStateError, match="cannot be switched on: it is on"):
        machine.boot()
    with pytest.raises(MachineStateError, match="cannot resume: it is on"):
        machine.resume()
    machine.wait_until_ready()
    machine.reboot()
    with pytest.raises(MachineStateError, match="cannot take an order: it is held"):
        machine.run("true")


def test_without_uefi_there_is_one_boot_only(machine: Machine, tmp_path: Path) -> None:
    machine.boot(kernel=DirectKernel(tmp_path / "linux", tmp_path / "initrd", "gpt quiet"))
    machine.wait_until_ready()
    machine.reboot()
    with pytest.raises(MachineStateError, match="started without UEFI firmware"):
        machine.resume()
    started = (tmp_path / "started").read_text()
    assert f"-kernel {tmp_path}/linux -initrd {tmp_path}/initrd -append gpt quiet" in started
    assert "pflash" not in started


def test_a_kernel_can_be_given_for_all_boots_of_a_machine(lab: Lab, image: SlotImage, tmp_path: Path) -> None:
    with lab.machine(
        "m2", image.path, direct=DirectKernel(tmp_path / "linux", tmp_path / "initrd", "quiet")
    ) as machine:
        for _ in range(2):
            machine.boot()
            machine.power_cut()
    assert (tmp_path / "started").read_text().count(f"-kernel {tmp_path}/linux") == 2


def test_a_machine_keeps_its_firmware_variables_over_all_its_boots(machine: Machine, tmp_path: Path) -> None:
    for _ in range(2):
        machine.boot()
        machine.power_cut()
    commands = (tmp_path / "started").read_text().splitlines()
    stores = [json.loads(command.split("-blockdev ")[2].split(" -")[0])["filename"] for command in commands]
    assert stores == [str(machine.folder / "efi-variables.fd")] * 2


def test_the_last_console_lines_outlive_the_power(machine: Machine) -> None:
    assert machine.tail == []
    machine.boot()
    machine.wait_for_line("booted")
    machine.power_cut()
    assert machine.tail == ["slotboot: booted slot=FAKE version=1"]


def test_a_missing_update_medium_is_refused_before_anything_starts(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no such update medium; make one with 'image-builder artifacts'"):
        machine.boot(medium=tmp_path / "none.update")
    assert machine.state == "off"
    assert machine.disk.session is None


def test_two_machines_cannot_have_one_name(machine: Machine, lab: Lab, image: SlotImage) -> None:
    with pytest.raises(MachineStateError, match="m1: cannot be made: it is there already"):
        lab.machine("m1", image.path)
    assert machine.state == "off"


def test_deadlines_stretch_when_boots_are_slow_and_never_shrink() -> None:
    deadlines = Deadlines(0.5)
    assert deadlines.seconds(10) == 10
    deadlines.observe_boot(NOMINAL_BOOT_SECONDS * 3)
    deadlines.observe_boot(1)
    assert deadlines.seconds(10) == 30
