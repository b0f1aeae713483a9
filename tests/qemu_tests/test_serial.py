"""Commands over a serial shell, typed into a real one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from qemu_tests.errors import ConsoleTimeoutError
from qemu_tests.harness.machine.serial import SerialShell

if TYPE_CHECKING:
    from qemu_tests.harness.boot import Boot


class Typed:
    """Stands for a boot: what is typed goes to ``sh``, and its output is the console."""

    def __init__(self, lost: int = 0) -> None:
        """``lost`` characters at the beginning are thrown away, as a terminal does while ``login`` sets it up."""
        self.text, self._lost = "", lost
        console = SimpleNamespace(seen=0, lines_between=self.lines_between)
        self.qemu = SimpleNamespace(send_serial=self.send, console=console)
        self.lines: list[str] = []

    def send(self, data: bytes) -> None:
        self.text += data.decode().replace("\r", "\n")[self._lost :]
        self._lost = 0

    def check(self, wanted: str) -> None:
        assert wanted

    def line(self, pattern: str, seconds: float, *, prompt: bool = False) -> re.Match[str]:
        # Interactive, as on a console: what it does not understand does not end it.
        done = subprocess.run(
            ["sh", "-i"], input=self.text, capture_output=True, text=True, timeout=seconds, check=False
        )
        self.lines = done.stdout.splitlines()
        for number, line in enumerate(self.lines):
            if match := re.search(pattern, line):
                self.qemu.console.seen = number + 1
                return match
        raise ConsoleTimeoutError(f"{pattern} {prompt}", seconds, done.stderr.splitlines(), Path("log"))

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


@pytest.mark.slow
@pytest.mark.parametrize("lost", range(0, 30, 3))
def test_a_shell_is_found_whatever_was_lost_of_the_first_question(lost: int) -> None:
    typed = Typed(lost)
    SerialShell(cast("Boot", typed))._find_shell("root", 10)
    assert "slotboot-logged-2" in "".join(typed.lines)


class WrittenOver:
    """A console on which the kernel wrote behind the prompt, so that no prompt is seen until Enter is pressed."""

    def __init__(self, *lines: str) -> None:
        self.typed, self.lines = list[str](), lines
        console = SimpleNamespace(find_all=self.find_all, boot_mark=0, log=Path("log"))
        self.qemu = SimpleNamespace(send_serial=lambda data: self.typed.append(data.decode()), console=console)

    def check(self, wanted: str) -> None:
        assert wanted

    def find_all(self, pattern: str, since: int) -> list[re.Match[str]]:
        return [match for line in self.lines[since:] if (match := re.search(pattern, line))]

    def line(self, pattern: str, seconds: float, *, prompt: bool = False) -> re.Match[str]:
        match = re.search(pattern, "vm login: ") if self.typed and prompt else None
        if match is None:
            raise ConsoleTimeoutError(pattern, seconds, [], Path("log"))
        return match


def test_a_prompt_that_the_kernel_has_written_behind_is_asked_for_again() -> None:
    boot = WrittenOver("vm login: [   65.855326] clocksource: Long readout interval")
    SerialShell(cast("Boot", boot))._find_prompt(60)
    assert boot.typed == ["\r"]


def test_nobody_presses_enter_where_no_prompt_was_seen() -> None:
    boot = WrittenOver("Last login: Sat Nov 28", "[   65.855326] clocksource: Long readout interval")
    with pytest.raises(ConsoleTimeoutError):
        SerialShell(cast("Boot", boot))._find_prompt(5.1)  # more than one look
    assert boot.typed == []
