"""``bootlab run`` as a user has it: in a process of its own, on a terminal, with a real machine."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.judges import read_sgdisk
from qemu_tests.report.files import read_run

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.lab import Lab

pytestmark = pytest.mark.vm
CTRL_A = "\x01"
BOOT_SECONDS = 180.0


class User:
    """Somebody at a terminal, with a command running in it."""

    def __init__(self, argv: list[str], folder: Path, seconds: float) -> None:
        self._keys, terminal = os.openpty()
        self._seconds, self._shown = seconds, ""
        self._process = subprocess.Popen(
            argv, stdin=terminal, stdout=terminal, stderr=terminal, cwd=folder, start_new_session=True
        )
        os.close(terminal)

    def types(self, text: str) -> None:
        os.write(self._keys, text.encode())

    def sees(self, text: str) -> None:
        deadline = time.monotonic() + self._seconds
        while text not in self._shown:
            ready, _, _ = select.select([self._keys], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {text!r} in {self._shown[-2000:]!r}"
            self._shown += os.read(self._keys, 65536).decode(errors="replace")
        self._shown = self._shown.partition(text)[2]

    def leaves(self) -> int:
        self.types(f"{CTRL_A}x")
        self.sees("bootlab: what happened:")
        return self._process.wait(self._seconds)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(self._seconds)
        os.close(self._keys)


def test_a_corrupted_slot_is_passed_over_and_the_report_tells_it(
    updated_disk: Path, slotboot_lab: Lab, tmp_path: Path
) -> None:
    command = "from qemu_tests.cli import main; main()"
    options = ["--accel", slotboot_lab.accelerator.name, "--report", "report.html"]
    argv = [sys.executable, "-c", command, "run", str(updated_disk), *options]
    user = User(argv, tmp_path, slotboot_lab.deadlines.seconds(BOOT_SECONDS))
    try:
        user.sees("Ctrl-A and then: c power cut")
        user.types(f"{CTRL_A}r")
        user.sees("USR-A 1/0/1  USR-B 2/0/1")
        user.sees("slotboot: booted slot=USR-B")
        user.types(f"{CTRL_A}k")
        user.sees("corrupt which slot? 1 USR-A, 2 USR-B")
        user.types("2")
        user.sees("the beginning of USR-B is zeros")
        user.types(f"{CTRL_A}c")
        user.sees("the power is off; Enter switches it on")
        user.types("\r")
        user.sees("slotboot: booted slot=USR-A")
        user.types(f"{CTRL_A}s")
        user.sees("-snapshot-1.raw")
        assert user.leaves() == 0
    finally:
        user.close()
    (snapshot,) = tmp_path.glob("*-snapshot-1.raw")
    # Marked bad by the selector: its priority stays.
    assert read_sgdisk(snapshot) == {"USR-A": "1/0/1", "USR-B": "2/0/0"}
    (machine,) = read_run(tmp_path / "report.json").machines
    assert [(boot.reason, boot.ending) for boot in machine.boots] == [
        ("power on", "host-qmp-system-reset"),
        ("reset", "power cut"),
        ("power is back", "off"),
    ]
    assert [boot.slot for boot in machine.boots[1:]] == ["USR-B", "USR-A"]
    assert ("damage", "the beginning of USR-B is zeros") in [(event.kind, event.text) for event in machine.events]
