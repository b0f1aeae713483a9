"""What the selector says arrives whole, on the console too, and fakes no other line."""

from __future__ import annotations

import os
import pty
import select
import termios
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.initramfs.log import Log

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal:
    """A terminal whose other end is not read unless the test does."""

    def __init__(self) -> None:
        self.master, terminal = pty.openpty()
        self.path = os.ttyname(terminal)
        self.held = terminal

    def read(self) -> str:
        ready, _, _ = select.select([self.master], [], [], 5)
        return os.read(self.master, 4096).decode() if ready else ""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.master)
    os.close(terminal.held)


def log_to(folder: Path, console: str, level: str = "4") -> Log:
    (folder / "printk").write_text(f"{level}\t4\t1\t7\n")
    (folder / "kmsg").touch()
    return Log(str(folder / "kmsg"), console, str(folder / "printk"))


def test_a_label_fakes_no_message(tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.touch()
    log_to(tmp_path, str(console)).say("booting slot x\n<3>bootselect: error\x1b[2J\ud800\u202e")
    line = r"bootselect: booting slot x\n<3>bootselect: error\x1b[2J\ud800\u202e"
    assert (tmp_path / "kmsg").read_text() == f"<5>{line}\n"
    assert console.read_text() == f"{line}\n"


@pytest.mark.parametrize("printk", ["", "\n", "x 4 1 7\n"])
def test_a_level_that_cannot_be_read_shows_everything(tmp_path: Path, printk: str) -> None:
    (tmp_path / "console").touch()
    (tmp_path / "kmsg").touch()
    (tmp_path / "printk").write_text(printk)
    Log(str(tmp_path / "kmsg"), str(tmp_path / "console"), str(tmp_path / "printk")).say("hello")
    assert (tmp_path / "console").read_text() == "bootselect: hello\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_draining_waits_until_the_console_has_taken_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "console").touch()
    queued, asked = [300, 120, 0], []

    def ioctl(_: int, request: int, argument: bytes | int) -> bytes | int:
        asked.append(request)
        return queued.pop(0).to_bytes(4, "little") if isinstance(argument, bytes) else 0

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    clock = Clock()
    log_to(tmp_path, str(tmp_path / "console")).drain(clock, clock.pause)
    assert asked == [termios.TIOCOUTQ] * 3 + [0x5409]  # TCSBRK: what tcdrain(3) is
    assert clock.now == pytest.approx(0.02)


def test_a_console_that_is_stopped_is_left_after_two_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "console").touch()
    asked = []

    def ioctl(_: int, request: int, argument: bytes | int) -> bytes | int:
        asked.append(request)
        return (5).to_bytes(4, "little") if isinstance(argument, bytes) else 0

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    clock = Clock()
    log_to(tmp_path, str(tmp_path / "console")).drain(clock, clock.pause)
    assert set(asked) == {termios.TIOCOUTQ}
    assert clock.now == pytest.approx(2.0, abs=0.02)


def test_a_real_terminal_is_drained_and_what_is_none_is_no_error(tmp_path: Path, terminal: Terminal) -> None:
    log = log_to(tmp_path, terminal.path)
    arrived: list[str] = []
    reader = threading.Thread(target=lambda: arrived.append(terminal.read()))
    reader.start()
    log.say("starting the kernel of slot USR-A")
    log.drain()
    reader.join()
    assert "starting the kernel of slot USR-A" in "".join(arrived)
    for path in (tmp_path / "missing", tmp_path / "kmsg", Path("/dev/null")):
        log_to(tmp_path, str(path)).drain()
