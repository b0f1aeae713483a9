"""Commands over a serial shell, typed into a real one."""

from __future__ import annotations

import re
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from qemu_tests.harness.machine.serial import SerialShell

if TYPE_CHECKING:
    from qemu_tests.harness.boot import Boot


class Typed:
    """Stands for a boot: what is typed goes to ``sh``, and its output is the console."""

    def __init__(self) -> None:
        self.text = ""
        console = SimpleNamespace(seen=0, lines_between=self.lines_between)
        self.qemu = SimpleNamespace(send_serial=self.send, console=console)
        self.lines: list[str] = []

    def send(self, data: bytes) -> None:
        self.text += data.decode().replace("\r", "\n")

    def check(self, wanted: str) -> None:
        assert wanted

    def line(self, pattern: str, seconds: float) -> re.Match[str]:
        done = subprocess.run(["sh"], input=self.text, capture_output=True, text=True, timeout=seconds, check=False)
        self.lines = done.stdout.splitlines()
        for number, line in enumerate(self.lines):
            if match := re.search(pattern, line):
                self.qemu.console.seen = number + 1
                return match
        raise AssertionError(done)

    def lines_between(self, first: int, last: int) -> list[str]:
        return self.lines[first:last]


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [("echo one; echo two", 0, "one\ntwo"), ("false", 1, ""), (f"echo {'x' * 4000}; exit 3", 3, "x" * 4000)],
    ids=["output", "fails", "longer than a typed line"],
)
def test_a_command_runs_with_its_output_and_exit_code(command: str, code: int, output: str) -> None:
    result = SerialShell(cast("Boot", Typed())).run(command, 10)
    assert (result.exit, result.output.strip()) == (code, output)
