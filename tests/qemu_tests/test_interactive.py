"""``bootlab run``: keys on a real terminal, a machine with a stand-in for QEMU, real disks."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.judges import read_sgdisk
from qemu_tests.interactive.command import snapshots_of
from qemu_tests.interactive.controls import Controls
from qemu_tests.interactive.errors import NoTerminalError, SlotError
from qemu_tests.interactive.session import Session
from qemu_tests.interactive.terminal import Follower, Terminal
from qemu_tests.report.recorded import RecordedMachine
from qemu_tests.report.recorder import Recorder
from tests.qemu_tests.fakes import fake_lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qemu_tests.report.model import Machine
    from tests.support import SlotImage

SECONDS = 30.0
CTRL_A = "\x01"


class Sitting:
    """A person at a terminal, and the session in a thread of its own."""

    def __init__(self, machine: RecordedMachine, folder: Path, recorder: Recorder) -> None:
        self.machine, self._recorder = machine, recorder
        self._person, self._terminal = os.openpty()
        self._shown = ""
        self.controls = Controls(machine, None)
        self._console = Follower(machine.log)
        self._folder = folder
        self._error: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._sit)
        self._thread.start()

    def _sit(self) -> None:
        try:
            with Terminal(self._terminal, self._terminal) as terminal:
                Session(self.controls, terminal, self._console, snapshots_of(self._folder / "disk.img")).run()
        except BaseException as error:  # noqa: BLE001  # raised in ``leave``
            self._error = error

    def type(self, text: str) -> None:
        os.write(self._person, text.encode())

    def sees(self, text: str) -> str:
        """Wait for it on the screen, and forget what stands before it."""
        deadline = time.monotonic() + SECONDS
        while text not in self._shown:
            ready, _, _ = select.select([self._person], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {text!r} in {self._shown!r}; {self._error}"
            self._shown += os.read(self._person, 65536).decode()
        before, _, self._shown = self._shown.partition(text)
        return before

    def leave(self) -> Machine:
        self.type(f"{CTRL_A}x")
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error
        self.close()
        return self._recorder.run().machines[0]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._thread.is_alive():
            self.type(f"{CTRL_A}x")
            self._thread.join(SECONDS)
        self.controls.close()
        self._console.close()
        os.close(self._person)
        os.close(self._terminal)


@pytest.fixture
def sitting(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slot_image: Callable[..., SlotImage],
) -> Iterator[Sitting]:
    lab = fake_lab(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("by hand")
    sitting = Sitting(
        RecordedMachine("m1", slot_image((1, 0, 1), (2, 3, 0)).path, lab, lab.hardware, recorder), tmp_path, recorder
    )
    yield sitting
    sitting.close()


def test_the_console_is_on_the_terminal_and_keys_go_to_the_guest(sitting: Sitting) -> None:
    sitting.sees("c power cut, r reset")
    sitting.sees("slotboot: booted slot=FAKE version=1")
    sitting.type("halp\n")
    sitting.sees("sh: halp: not found")
    sitting.type(f"{CTRL_A}{CTRL_A}b\n")
    sitting.sees("sh: \x01b: not found")
    sitting.type(f"{CTRL_A}q")
    sitting.sees("no such key: q")
    found = sitting.leave()
    assert [(boot.reason, boot.ending) for boot in found.boots] == [("power on", "off")]
    assert "sh: halp: not found" in found.boots[0].console


def test_a_power_cut_and_power_again(sitting: Sitting) -> None:
    sitting.sees("version=1")
    sitting.type(f"{CTRL_A}c")
    sitting.sees("power cut: what the machine had not flushed is lost")
    sitting.sees("USR-A 1/0/1  USR-B 2/3/0")
    sitting.sees("the power is off; Enter switches it on")
    assert sitting.machine.state == "off"
    sitting.type("no\r")
    sitting.sees("slotboot: booted slot=FAKE version=1")
    # Cut and switched on again before anybody has looked up.
    sitting.type(f"{CTRL_A}c\r")
    sitting.sees("power cut")
    sitting.sees("slotboot: booted slot=FAKE version=1")
    sitting.type("halp\n")
    sitting.sees("sh: halp: not found")
    found = sitting.leave()
    assert [(boot.reason, boot.ending) for boot in found.boots] == [
        ("power on", "power cut"),
        ("power is back", "power cut"),
        ("power is back", "off"),
    ]


def test_a_reboot_of_the_guest_is_shown_with_the_slots_and_goes_on(sitting: Sitting) -> None:
    sitting.sees("version=1")
    sitting.machine.order("reboot")
    sitting.sees("the machine reboots")
    sitting.sees("USR-A 1/0/1  USR-B 2/3/0")
    sitting.sees("slotboot: booted slot=FAKE version=2")
    sitting.machine.order("poweroff")
    sitting.sees("the machine switched itself off")
    sitting.sees("Enter switches it on")
    sitting.type("\r")
    sitting.sees("slotboot: booted slot=FAKE version=1")
    assert [boot.ending for boot in sitting.leave().boots] == ["reboot", "poweroff", "off"]


def test_the_reset_button(sitting: Sitting) -> None:
    sitting.sees("version=1")
    sitting.type(f"{CTRL_A}r")
    sitting.sees("reset")
    sitting.sees("USR-A 1/0/1  USR-B 2/3/0")
    sitting.sees("slotboot: booted slot=FAKE version=2")
    sitting.type(f"{CTRL_A}c{CTRL_A}r")
    sitting.sees("power cut")
    sitting.sees("the power is off; Enter switches it on")
    found = sitting.leave()
    assert [(boot.reason, boot.ending) for boot in found.boots] == [
        ("power on", "host-qmp-system-reset"),
        ("reset", "power cut"),
    ]
    assert found.events[0].text == "the reset button was pressed"


def test_a_slot_is_corrupted_while_the_power_is_off(sitting: Sitting, tmp_path: Path) -> None:
    sitting.sees("version=1")
    sitting.type(f"{CTRL_A}c{CTRL_A}k")
    sitting.sees("corrupt which slot? 1 USR-A, 2 USR-B")
    sitting.type("x")
    sitting.sees("nothing was corrupted")
    sitting.type(f"{CTRL_A}k2{CTRL_A}s")
    sitting.sees("the beginning of USR-B is zeros")
    sitting.sees("snapshot: disk-snapshot-1.raw")
    sitting.type(f"{CTRL_A}s")
    sitting.sees("snapshot: disk-snapshot-2.raw")
    assert read_sgdisk(tmp_path / "disk-snapshot-1.raw") == {"USR-A": "1/0/1", "USR-B": "2/3/0"}
    assert ("damage", "the beginning of USR-B is zeros") in [
        (event.kind, event.text) for event in sitting.leave().events
    ]


def test_a_slot_that_is_not_there_is_not_corrupted(sitting: Sitting) -> None:
    sitting.sees("version=1")
    with pytest.raises(SlotError, match="there is no partition 'USR-C' on its disk"):
        sitting.controls.corrupt("USR-C")


def test_a_machine_that_dies_is_told_and_can_be_switched_on_again(sitting: Sitting) -> None:
    sitting.sees("version=1")
    sitting.machine.order("die")
    sitting.sees("last words")
    sitting.sees("QEMU exited with 3, and said: qemu: something broke")
    sitting.sees("Enter switches it on")
    sitting.type("\r")
    sitting.sees("slotboot: booted slot=FAKE version=1")
    assert [boot.ending for boot in sitting.leave().boots] == ["died", "off"]


def test_without_a_terminal_there_are_no_keys() -> None:
    reader, writer = os.pipe()
    with pytest.raises(NoTerminalError, match="'bootlab boot' works in a pipe"):
        Terminal(reader, writer)
    os.close(reader)
    os.close(writer)


def test_the_terminal_is_given_back_as_it_was() -> None:
    import termios

    person, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    with Terminal(terminal, terminal):
        assert termios.tcgetattr(terminal) != before
    assert termios.tcgetattr(terminal) == before
    os.close(person)
    os.close(terminal)
