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
from qemu_tests.harness.control import Ready, Result
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.hardware import bench_arguments
from qemu_tests.harness.power_cycle import Boundary, PowerCycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qemu_tests.harness.hardware import Wires
    from tests.support import SlotImage

FAKE = Path(__file__).with_name("fake_qemu.py")
SOON = 30.0


def fake(wires: Wires) -> list[str]:
    return [sys.executable, "-I", "-S", str(FAKE), *bench_arguments(wires)]


@pytest.fixture
def make(tmp_path: Path, slot_image: Callable[..., SlotImage]) -> Iterator[Callable[..., PowerCycle]]:
    made: list[PowerCycle] = []

    def make(command: Callable[[Wires], list[str]] = fake) -> PowerCycle:
        session = MachineDisk(slot_image((1, 0, 1)).path, tmp_path).power_on()
        made.append(PowerCycle("m1", command, session, tmp_path / "stderr", tmp_path / "m1.console.log"))
        return made[-1]

    yield make
    for cycle in made:
        cycle.close()


@pytest.fixture
def cycle(make: Callable[..., PowerCycle]) -> PowerCycle:
    cycle = make()
    cycle.power_on()
    return cycle


def test_nothing_runs_before_the_power_is_on(make: Callable[..., PowerCycle]) -> None:
    cycle = make()
    assert cycle.console.lines == []
    cycle.power_on()
    assert cycle.wait_for_line("booted slot=(.*) version", SOON).group(1) == "FAKE"


def test_a_slot_greets_and_takes_orders(cycle: PowerCycle) -> None:
    assert cycle.wait_until_ready(SOON) == Ready("FAKE", "1", "id-1")
    assert cycle.run("say", SOON) == Result(0, "say")


def test_a_reboot_is_held_until_it_is_resumed(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    cycle.order("reboot -f")
    assert cycle.wait_for_boundary(SOON) == Boundary("reboot")
    assert str(cycle.boundary) == "the guest rebooted"
    cycle.resume()
    assert cycle.boundary is None
    assert cycle.wait_until_ready(SOON) == Ready("FAKE", "2", "id-2")


def test_switching_off_is_another_kind_of_boundary(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    cycle.order("poweroff -f")
    assert str(cycle.wait_for_boundary(SOON)) == "the guest switched itself off"


def test_a_reboot_ends_the_wait_for_something_else(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    with pytest.raises(UnexpectedBoundaryError, match="m1: the guest rebooted while waiting for end of the order"):
        cycle.run("reboot", SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for greeting"):
        cycle.wait_until_ready(SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for a line with 'healthy'"):
        cycle.wait_for_line("healthy", SOON)
    with pytest.raises(UnexpectedBoundaryError, match="while waiting for an order"):
        cycle.order("say")


def test_the_death_of_qemu_ends_every_wait_and_shows_its_last_words(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    with pytest.raises(MachineDiedError) as caught:
        cycle.run("die", SOON)
    assert caught.value.line == "machine m1: QEMU exited with 3, and said: qemu: something broke"
    assert "    | last words" in str(caught.value)
    for wait in (cycle.wait_until_ready, cycle.wait_for_boundary, lambda seconds: cycle.wait_for_line("x", seconds)):
        with pytest.raises(MachineDiedError):
            wait(SOON)
    with pytest.raises(MachineDiedError):
        cycle.order("say")


def test_a_qemu_that_is_killed_ends_the_wait_too(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    os.kill(cycle.pid, signal.SIGKILL)
    with pytest.raises(MachineDiedError, match="QEMU was killed by SIGKILL"):
        cycle.wait_until_ready(SOON)


def test_a_qemu_that_refuses_to_start_says_why(make: Callable[..., PowerCycle]) -> None:
    refuse = "import sys; sys.exit('qemu: -device nonsense: no such device')"
    cycle = make(lambda _: [sys.executable, "-I", "-S", "-c", refuse])
    with pytest.raises(MachineDiedError, match="exited with 1, and said: qemu: -device nonsense: no such device"):
        cycle.power_on()


def test_every_wait_has_its_deadline(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    with pytest.raises(WaitTimeoutError, match="m1: no greeting of the slot within 0 s"):
        cycle.wait_until_ready(0.01)
    with pytest.raises(WaitTimeoutError, match="no end of the order 'hang'"):
        cycle.run("hang", 0.01)
    with pytest.raises(WaitTimeoutError, match="no reboot"):
        cycle.wait_for_boundary(0.01)
    with pytest.raises(WaitTimeoutError, match="no cut of the disk"):
        cycle.wait_for_freeze(0.01)
    with pytest.raises(ConsoleTimeoutError, match=r"    \| slotboot: booted slot=FAKE version=1"):
        cycle.wait_for_line("never", 0.01)


def test_nonsense_on_the_control_port_is_shown(cycle: PowerCycle) -> None:
    cycle.wait_until_ready(SOON)
    with pytest.raises(ControlProtocolError, match="the guest sent 'login: '"):
        cycle.run("nonsense", SOON)


def test_a_power_cut_leaves_no_process(cycle: PowerCycle) -> None:
    pid = cycle.pid
    cycle.cut()
    assert not Path(f"/proc/{pid}").exists()


def test_closing_leaves_no_process_and_can_be_repeated(cycle: PowerCycle) -> None:
    pid = cycle.pid
    cycle.close()
    cycle.close()
    assert not Path(f"/proc/{pid}").exists()


def test_the_monitor_answers_and_refuses(cycle: PowerCycle) -> None:
    assert cycle.qmp.execute("echo", {"a": 1}) == {"a": 1}
    with pytest.raises(QmpCommandError, match="unknown was refused: The command unknown has not been found"):
        cycle.qmp.execute("unknown")


def test_a_monitor_that_does_not_answer_is_given_up(cycle: PowerCycle) -> None:
    with pytest.raises(QmpTimeoutError, match="no answer to silence within 0 s"):
        cycle.qmp.execute("silence", seconds=0.01)
    assert cycle.qmp.execute("echo") == {}


def test_a_monitor_that_hangs_up_is_noticed(cycle: PowerCycle) -> None:
    with pytest.raises(QmpClosedError):
        cycle.qmp.execute("hang-up")
    with pytest.raises(QmpClosedError):
        cycle.qmp.execute("echo")
    assert cycle.qmp.ended
