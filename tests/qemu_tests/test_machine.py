"""A machine over many boots, with a stand-in for QEMU and the real qemu-img and judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import (
    AgentGoneError,
    ConsoleLogError,
    ConsoleTimeoutError,
    DamagedTableError,
    GuestFailedError,
    HardwareError,
    ImageError,
    LabError,
    MachineStateError,
    NoShellError,
    WaitTimeoutError,
)
from qemu_tests.harness.control import Ready, Result
from qemu_tests.harness.deadlines import NOMINAL_BOOT_SECONDS, Deadlines
from qemu_tests.harness.disk.faults import CutAtLine
from qemu_tests.harness.disk.losses import NothingLost
from qemu_tests.harness.hardware import DirectKernel, Hardware
from tests.qemu_tests.fakes import fake_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine
    from tests.support import SlotImage


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return fake_lab(tmp_path, monkeypatch)


@pytest.fixture
def image(slot_image: Callable[..., SlotImage]) -> SlotImage:
    return slot_image((1, 0, 1), (2, 3, 0))


@pytest.fixture
def machine(lab: Lab, image: SlotImage) -> Iterator[Machine]:
    with lab.machine("m1", image.path) as machine:
        yield machine


@pytest.fixture
def running(machine: Machine) -> Machine:
    machine.boot()
    machine.wait_until_ready()
    return machine


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


def test_without_uefi_each_boot_is_a_process_of_its_own_on_the_same_disk(machine: Machine, tmp_path: Path) -> None:
    machine.boot(kernel=DirectKernel(tmp_path / "linux", tmp_path / "initrd", "gpt quiet"))
    machine.wait_until_ready()
    session = machine.disk.session
    assert session is not None
    session.write(0, b"x" * 512)
    machine.reboot()
    machine.resume()
    machine.wait_until_ready()
    assert machine.disk.session is session
    assert session.read(0, 512) == b"x" * 512
    started = (tmp_path / "started").read_text()
    assert started.count(f"-kernel {tmp_path}/linux -initrd {tmp_path}/initrd -append gpt quiet") == 2
    assert "pflash" not in started


def test_a_kernel_can_be_given_for_all_boots_of_a_machine(lab: Lab, image: SlotImage, tmp_path: Path) -> None:
    with lab.machine(
        "m2", image.path, direct=DirectKernel(tmp_path / "linux", tmp_path / "initrd", "quiet")
    ) as machine:
        for _ in range(2):
            machine.boot()
            machine.power_cut()
    assert (tmp_path / "started").read_text().count(f"-kernel {tmp_path}/linux") == 2


def test_a_machine_keeps_its_firmware_variables_over_all_its_boots(machine: Machine) -> None:
    """Nobody flushes them: they are in a flash chip."""
    store = machine.variables
    assert store is not None
    for count in range(2):
        machine.boot()
        assert store.session is not None
        assert store.session.read(0, 512)[:1] == bytes([count])
        store.session.write(0, bytes([count + 1]) * 512)
        machine.power_cut()


def test_a_machine_can_begin_with_other_variables(lab: Lab, image: SlotImage, tmp_path: Path) -> None:
    store = tmp_path / "other.fd"
    store.write_bytes(b"v" * 1024)
    with lab.machine("m2", str(image.path), variables=str(store)) as machine:
        assert machine.variables is not None
        assert machine.variables.read(0, 512) == b"v" * 512


def test_nobody_there_to_run_a_command_is_said_at_once(running: Machine) -> None:
    running.order("leave")
    running.wait_for_line("the agent has left")
    running.qmp.execute("echo")  # the news of the port came before its answer
    with pytest.raises(NoShellError, match="no agent has opened the port"):
        running.run("uname")
    with pytest.raises(NoShellError):
        running.order("uname")


def test_an_error_while_it_is_switched_off_does_not_hide_the_one_before(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise LabError("the folder is full")

    monkeypatch.setattr(machine, "close", fails)
    with pytest.raises(EOFError) as caught, machine:
        raise EOFError("of the test")
    assert caught.value.__notes__ == ["and when it was switched off: the folder is full"]
    with pytest.raises(LabError, match="the folder is full"), machine:
        pass
    monkeypatch.undo()


def test_an_agent_that_ends_ends_the_wait_for_its_answer(running: Machine) -> None:
    with pytest.raises(AgentGoneError, match="the agent is gone, and its answer to 'leave' with it"):
        running.run("leave")
    assert running.state == "on"


def test_what_the_former_boot_said_is_no_news_of_this_one(running: Machine) -> None:
    running.type_line("stale")
    running.wait_for_line("not found")
    running.reboot()
    running.resume()
    assert running.wait_for_line(r"booted slot=FAKE version=(\d)").group(1) == "2"
    with pytest.raises(ConsoleTimeoutError):
        running.wait_for_line("stale", 0.01)


@pytest.mark.parametrize(
    "line",
    [
        "[    1.9] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
        "[    2.5] Oops: 0002 [#1] PREEMPT SMP NOPTI",
        "[    2.5] BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "You are in emergency mode. After logging in, type",
        "bootselect: no slot could be booted; action: rescue",
    ],
)
def test_a_failure_of_the_guest_ends_a_wait_at_once_and_leads_the_error(running: Machine, line: str) -> None:
    running.order("hang")
    running.order(f"print {line}")
    with pytest.raises(GuestFailedError) as caught:
        running.wait_for_line("never")
    assert str(caught.value).startswith(line)
    assert "machine m1" in str(caught.value)
    assert f"    | {line}" in str(caught.value)
    assert running.state == "on"
    running.order(f"print {line}")
    with pytest.raises(GuestFailedError):
        running.run("hang")


def test_a_failure_that_was_waited_for_is_what_the_test_wanted(running: Machine) -> None:
    running.order("print Kernel panic - not syncing: sysrq")
    assert running.wait_for_line("Kernel panic")
    assert running.run("say").exit == 0


def test_a_missed_boundary_leads_with_the_failure_before_it(running: Machine) -> None:
    running.order("print Kernel panic - not syncing: sysrq")
    with pytest.raises(WaitTimeoutError, match=r"^Kernel panic - not syncing: sysrq \(machine m1: no reboot within"):
        running.wait_for_boundary(1)


def test_a_prompt_is_seen_before_its_line_ends(running: Machine) -> None:
    running.order("prompt login: ")
    assert running.wait_for_prompt("login: *$")
    with pytest.raises(ConsoleTimeoutError):
        running.wait_for_prompt("login: *$", 0.01)


def test_the_power_fails_at_a_line_of_the_console(machine: Machine) -> None:
    machine.boot(faults=[CutAtLine("booted slot=FAKE")])
    machine.wait_for_freeze()
    session = machine.disk.session
    assert session is not None
    assert session.frozen
    machine.power_cut()


def test_a_full_log_folder_ends_the_test_with_that(running: Machine) -> None:
    full = open("/dev/full", "wb", buffering=0)  # noqa: PTH123, SIM115  # the console closes it
    running.console._file.close()
    running.console._file = full
    running.type_line("halp")
    with pytest.raises(ConsoleLogError, match="No space left on device: the console log of machine m1"):
        running.wait_for_line("never")


def test_keys_of_a_terminal_are_typed(running: Machine) -> None:
    running.type("halp", "ctrl-c", "up", "enter")
    running.type("\n")
    running.wait_for_line(r"sh: halp.*\[A.*: not found|sh: halp")
    with pytest.raises(
        ValueError, match="'meta-x' is not a key of a terminal; expected ctrl-LETTER or one of backspace"
    ):
        running.type("", "meta-x")


def test_a_picture_needs_a_display(machine: Machine) -> None:
    machine.boot()
    with pytest.raises(HardwareError, match="m1: it has no display"):
        machine.screenshot()


def test_a_failed_judge_leaves_the_guest_running(running: Machine) -> None:
    with pytest.raises(LabError):
        running.judge(slot_type="chromeos-kernel")
    assert running.run("say").exit == 0


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


def test_a_power_cut_of_a_drive_that_drops_fua_is_refused(lab: Lab, image: SlotImage) -> None:
    with lab.machine("m2", image.path, hardware=Hardware(bus="nvme")) as machine:
        machine.boot()
        with pytest.raises(HardwareError, match="NVMe drive does not pass on which writes must be durable"):
            machine.power_cut()
        assert machine.state == "on"
        machine.power_cut(NothingLost())


def test_a_cut_at_a_line_strikes_in_a_later_process_of_the_power_cycle_too(machine: Machine, tmp_path: Path) -> None:
    kernel = DirectKernel(tmp_path / "linux", tmp_path / "initrd", "gpt quiet")
    machine.boot(kernel=kernel, faults=[CutAtLine("sh: halp")])
    machine.wait_until_ready()
    machine.reboot()
    machine.resume()
    machine.wait_until_ready()
    machine.type_line("halp")
    machine.wait_for_freeze(5)
    machine.power_cut()
