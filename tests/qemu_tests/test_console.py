"""The serial console: nothing is lost, every wait ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from qemu_tests.errors import ConsoleClosedError, ConsoleTimeoutError, GuestFailedError
from qemu_tests.harness.boot import Boot
from qemu_tests.harness.console import TAIL_LINES, Console, LineSplitter
from qemu_tests.harness.machine.serial import LOGIN
from qemu_tests.harness.notifier import Notifier

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qemu_tests.harness.qemu import Qemu


class Waited(Console):
    """A console with a boot that waits on it, of a machine that has nothing else."""

    def __init__(self, log: Path) -> None:
        self.notifier = Notifier()
        super().__init__(log, self.notifier)
        self.interrupt: Callable[[], None] = lambda: None
        self.begin()

    def begin(self) -> None:
        qemu = SimpleNamespace(
            name="m1",
            console=self,
            notifier=self.notifier,
            qmp=SimpleNamespace(events=[]),
            control=SimpleNamespace(forget=lambda: None),
            check=self.check,
            check_end=lambda: None,
        )
        self.boot = Boot(cast("Qemu", qemu))

    def check(self) -> None:
        self.interrupt()

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        return self.boot.line(pattern, seconds)

    def wait_for_prompt(self, pattern: str, seconds: float) -> re.Match[str]:
        return self.boot.line(pattern, seconds, prompt=True)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Waited]:
    with Waited(tmp_path / "machine.console.log") as console:
        yield console


def test_lines_are_the_same_however_the_bytes_arrive() -> None:
    raw = "\x1b[2J\x1b[01;01Hfirmware\r\n\x1b[0mgrün\r\n\x1b=a\x00b\tc\r\nunfinished".encode()
    whole = LineSplitter()
    assert whole.feed(raw) == ["firmware", "grün", "ab\tc"]
    assert whole.partial == "unfinished"
    byte_by_byte = LineSplitter()
    assert [line for byte in raw for line in byte_by_byte.feed(bytes([byte]))] == ["firmware", "grün", "ab\tc"]


def test_a_line_that_is_there_already_is_found_at_once_and_only_once(console: Waited) -> None:
    console.feed(b"slotboot: booted slot=USR-A\nslotboot: booted slot=USR-B\n")
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-A"
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-B"
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for(r"slot=(\S+)", 0)


def test_half_a_line_never_matches(console: Waited) -> None:
    console.feed(b"slotboot: booted slot=USR")
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for(r"slot=(\S+)", 0)
    console.feed(b"-A\n")
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-A"


def test_a_wait_wakes_when_the_line_arrives(console: Waited) -> None:
    threading.Timer(0.05, console.feed, [b"healthy\n"]).start()
    assert console.wait_for("healthy", 30).string == "healthy"


def test_a_wait_ends_with_the_console(console: Waited) -> None:
    console.feed(b"Kernel panic")
    threading.Timer(0.05, console.end).start()
    with pytest.raises(ConsoleClosedError) as caught:
        console.wait_for("healthy", 30)
    assert "ended before a line matched 'healthy'" in str(caught.value)
    assert "    | Kernel panic" in str(caught.value)


def test_the_last_line_counts_even_without_its_end(console: Waited) -> None:
    console.feed(b"half a line")
    console.end()
    assert console.wait_for("half", 0)


def test_a_missed_deadline_shows_the_last_lines_and_where_all_of_them_are(console: Waited) -> None:
    console.feed(b"".join(b"line %d\n\n" % number for number in range(40)) + b"and half a li")
    with pytest.raises(ConsoleTimeoutError) as caught:
        console.wait_for("never", 0.01)
    first, where, *tail = str(caught.value).split("\n")
    assert first == "console: no line matched 'never' within 0 s"
    assert str(console.log) in where
    assert len(tail) == TAIL_LINES
    assert tail[-2:] == ["    | line 39", "    | and half a li"]


def test_other_news_can_end_a_wait(console: Waited) -> None:
    def interrupt() -> None:
        raise EOFError("the machine died")

    console.interrupt = interrupt
    with pytest.raises(EOFError):
        console.wait_for("healthy", 30)


def test_a_line_that_has_arrived_wins_over_other_news(console: Waited) -> None:
    def interrupt() -> None:
        raise EOFError("the machine died")

    console.interrupt = interrupt
    console.feed(b"healthy\n")
    assert console.wait_for("healthy", 30)


def test_the_log_holds_every_byte_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for run in (b"first\x1b[0m\r\n", b"second\xff\r\n"):
        with Console(log, Notifier()) as console:
            console.annotate("boot")
            console.feed(run)
    assert log.read_bytes() == (
        b"\r\n======== boot ========\r\nfirst\x1b[0m\r\n\r\n======== boot ========\r\nsecond\xff\r\n"
    )


def test_lines_of_one_boot_can_be_looked_at_again(console: Waited) -> None:
    console.feed(b"booting slot USR-A\n")
    second_boot = console.mark()
    console.feed(b"booting slot USR-B\n")
    assert [match.group(1) for match in console.find_all(r"slot (\S+)", second_boot)] == ["USR-B"]


def test_a_wait_belongs_to_its_boot(console: Waited) -> None:
    console.feed(b"login: healthy\nhalf a li")
    console.begin()
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for("healthy", 0)
    console.feed(b"ne of the next one, healthy\n")
    assert console.wait_for("healthy", 0).string == "ne of the next one, healthy"


def test_a_prompt_matches_before_its_line_ends_and_only_once(console: Waited) -> None:
    console.feed(b"Debian 12 ttyS0\r\n\r\nmachine login: ")
    assert console.wait_for_prompt("login: *$", 0)
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for_prompt("login: *$", 0)
    console.feed(b"root\r\nPassword: ")
    assert console.wait_for_prompt("Password: *$", 0)
    console.feed(b"\r\nLogin incorrect\r\nmachine login: ")
    assert console.wait_for_prompt("Login incorrect|login: *$", 0).group() == "Login incorrect"
    assert console.wait_for_prompt("login: *$", 0)


def test_a_bad_line_ends_the_wait_for_a_later_one_but_not_for_an_earlier_one(console: Waited) -> None:
    console.feed(b"first\nKernel panic - not syncing: x\nlast\n")
    assert console.wait_for("first", 0)
    with pytest.raises(GuestFailedError, match=r"^Kernel panic - not syncing: x "):
        console.wait_for("last", 0)
    assert console.wait_for("last", 0)


def test_input_without_an_end_of_line_is_kept_until_it_ends_and_its_end_is_shown() -> None:
    seen = 0

    splitter = LineSplitter()
    for _ in range(400):
        splitter.feed(b"x" * 2000)
        seen = max(seen, len(splitter.partial))
    assert seen <= 4096
    assert splitter.feed(b"\n") == ["x" * 800_000]


def test_two_mebibytes_without_an_end_of_line_are_cut_into_lines(console: Waited) -> None:
    console.feed(b"y" * (2 << 20))
    console.feed(b"\nend\n")
    assert console.lines[-1] == "end"
    assert sum(len(line) for line in console.lines[:-1]) == 2 << 20


def test_the_line_of_the_last_login_is_no_prompt(console: Waited) -> None:
    """It comes in pieces, as everything does on a serial port."""
    console.feed(b"Last login: ")
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for_prompt(LOGIN, 0)
    console.feed(b"Sat Nov 28 on ttyS0\r\nmachine login: ")
    assert console.wait_for_prompt(LOGIN, 0)
