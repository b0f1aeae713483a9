"""One QEMU process, from power-on to power-off, with a stand-in for QEMU that does as it is told."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import (
    ConsoleTimeoutError,
    ControlProtocolError,
    MachineDiedError,
    QmpClosedError,
    QmpCommandError,
    QmpTimeoutError,
    UnexpectedBoundaryError,
    WaitTimeoutError,
)
from qemu_tests.harness.boot import Boot, Boundary
from qemu_tests.harness.control import Ready, Result
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.hardware.command_line import held_arguments
from qemu_tests.harness.hardware.wires import Wiring
from qemu_tests.harness.qemu import HELD, Qemu, Start
from tests.qemu_tests.fakes import FAKE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support import SlotImage

SOON = 30.0


class Running:
    """A QEMU and its present boot, as a machine has them."""

    def __init__(self, qemu: Qemu) -> None:
        self.qemu = qemu
        self.boot = Boot(qemu)

    def ready(self, seconds: float) -> Ready:
        return self.boot.until("greeting of the slot", self.qemu.control.take_ready, seconds)

    def run(self, command: str, seconds: float) -> Result:
        self.boot.check("an order")
        number = self.qemu.control.send(command)
        return self.boot.until(f"end of the order {command!r}", lambda: self.qemu.control.take_result(number), seconds)

    def order(self, command: str) -> None:
        self.boot.check("an order")
        self.qemu.control.send(command)

    def freeze(self, seconds: float) -> None:
        self.boot.until("cut of the disk", lambda: self.qemu.frozen or None, seconds, across=True)


@pytest.fixture
def make(tmp_path: Path, slot_image: Callable[..., SlotImage]) -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(*command: str) -> Running:
        session = MachineDisk(slot_image((1, 0, 1)).path, tmp_path).power_on()
        wiring = Wiring()
        for name in (*HELD, "disk"):
            wiring.plug(name)
        argv = [*(command or (sys.executable, "-I", "-S", str(FAKE))), *held_arguments(wiring.descriptors)]
        start = Start(argv, wiring, {"disk": session}, tmp_path / "stderr", tmp_path / "m1.console.log")
        made.append(Running(Qemu("m1", start)))
        return made[-1]

    yield make
    for running in made:
        running.qemu.close()


@pytest.fixture
def running(make: Callable[..., Running]) -> Running:
    running = make()
    running.qemu.go()
    return running


def test_nothing_runs_before_the_power_is_on(make: Callable[..., Running]) -> None:
    running = make()
    assert running.qemu.console.lines == []
    running.qemu.go()
    assert running.boot.line("booted slot=(.*) version", SOON).group(1) == "FAKE"


def test_a_slot_greets_and_takes_orders(running: Running) -> None:
    assert running.ready(SOON) == Ready("FAKE", "1", "id-1")
    assert running.run("say", SOON) == Result(0, "say")


def test_a_reboot_is_held_until_it_is_resumed(running: Running) -> None:
    running.ready(SOON)
    running.order("reboot -f")
    assert running.boot.end(SOON) == Boundary("reboot")
    assert str(running.boot.boundary) == "the guest rebooted"
    running.boot = Boot(running.qemu)
    running.qemu.reset()
    assert running.boot.boundary is None
    assert running.ready(SOON) == Ready("FAKE", "2", "id-2")


def test_switching_off_is_another_kind_of_boundary(running: Running) -> None:
    running.ready(SOON)
    running.order("poweroff -f")
    assert str(running.boot.end(SOON)) == "the guest switched itself off"


def test_a_reboot_ends_the_wait_for_something_else(running: Running) -> None:
    running.ready(SOON)
    with pytest.raises(UnexpectedBoundaryError, match="m1: the guest rebooted while waiting for end of the order"):
        running.run("reboot", SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for greeting"):
        running.ready(SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for a line with 'healthy'"):
        running.boot.line("healthy", SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for an order"):
        running.order("say")


def test_the_death_of_qemu_ends_every_wait_and_shows_its_last_words(running: Running) -> None:
    running.ready(SOON)
    with pytest.raises(MachineDiedError) as caught:
        running.run("die", SOON)
    assert caught.value.line == "machine m1: QEMU exited with 3, and said: qemu: something broke"
    assert "    | last words" in str(caught.value)
    for wait in (running.ready, running.boot.end, lambda seconds: running.boot.line("x", seconds)):
        with pytest.raises(MachineDiedError):
            wait(SOON)
    with pytest.raises(MachineDiedError):
        running.order("say")


def test_a_qemu_that_is_killed_ends_the_wait_too(running: Running) -> None:
    running.ready(SOON)
    os.kill(running.qemu.pid, signal.SIGKILL)
    with pytest.raises(MachineDiedError, match="QEMU was killed by SIGKILL"):
        running.ready(SOON)


def test_a_qemu_that_refuses_to_start_says_why(make: Callable[..., Running]) -> None:
    refuse = "import sys; sys.exit('qemu: -device nonsense: no such device')"
    running = make(sys.executable, "-I", "-S", "-c", refuse)
    with pytest.raises(MachineDiedError, match="exited with 1, and said: qemu: -device nonsense: no such device"):
        running.qemu.go()


def test_every_wait_has_its_deadline(running: Running) -> None:
    running.ready(SOON)
    with pytest.raises(WaitTimeoutError, match="m1: no greeting of the slot within 0 s"):
        running.ready(0.01)
    with pytest.raises(WaitTimeoutError, match="no end of the order 'hang'"):
        running.run("hang", 0.01)
    with pytest.raises(WaitTimeoutError, match="no reboot"):
        running.boot.end(0.01)
    with pytest.raises(WaitTimeoutError, match="no cut of the disk"):
        running.freeze(0.01)
    with pytest.raises(ConsoleTimeoutError, match=r"    \| slotboot: booted slot=FAKE version=1"):
        running.boot.line("never", 0.01)


def test_nonsense_on_the_control_port_is_shown(running: Running) -> None:
    running.ready(SOON)
    with pytest.raises(ControlProtocolError, match="the guest sent 'login: '"):
        running.run("nonsense", SOON)


def test_a_power_cut_leaves_no_process(running: Running) -> None:
    pid = running.qemu.pid
    running.qemu.cut()
    assert not Path(f"/proc/{pid}").exists()


def test_closing_leaves_no_process_and_can_be_repeated(running: Running) -> None:
    pid = running.qemu.pid
    running.qemu.close()
    running.qemu.close()
    assert not Path(f"/proc/{pid}").exists()


def test_the_monitor_answers_and_refuses(running: Running) -> None:
    assert running.qemu.qmp.execute("echo", {"a": 1}) == {"a": 1}
    with pytest.raises(QmpCommandError, match="unknown was refused: The command unknown has not been found"):
        running.qemu.qmp.execute("unknown")


def test_a_monitor_that_does_not_answer_is_given_up(running: Running) -> None:
    with pytest.raises(QmpTimeoutError, match="no answer to silence within 0 s"):
        running.qemu.qmp.execute("silence", seconds=0.01)
    assert running.qemu.qmp.execute("echo") == {}


def test_a_monitor_that_hangs_up_is_noticed(running: Running) -> None:
    with pytest.raises(QmpClosedError):
        running.qemu.qmp.execute("hang-up")
    with pytest.raises(QmpClosedError):
        running.qemu.qmp.execute("echo")
    assert running.qemu.qmp.ended
