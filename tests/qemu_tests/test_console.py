"""The serial console: nothing is lost, every wait ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import ConsoleClosedError, ConsoleTimeoutError
from qemu_tests.harness.console import TAIL_LINES, Console, LineSplitter
from qemu_tests.harness.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with Console(tmp_path / "machine.console.log", Notifier()) as console:
        yield console


def test_lines_are_the_same_however_the_bytes_arrive() -> None:
    raw = "\x1b[2J\x1b[01;01Hfirmware\r\n\x1b[0mgrün\r\n\x1b=a\x00b\tc\r\nunfinished".encode()
    whole = LineSplitter()
    assert whole.feed(raw) == ["firmware", "grün", "ab\tc"]
    assert whole.partial == "unfinished"
    byte_by_byte = LineSplitter()
    assert [line for byte in raw for line in byte_by_byte.feed(bytes([byte]))] == ["firmware", "grün", "ab\tc"]


def test_a_line_that_is_there_already_is_found_at_once_and_only_once(console: Console) -> None:
    console.feed(b"slotboot: booted slot=USR-A\nslotboot: booted slot=USR-B\n")
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-A"
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-B"
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for(r"slot=(\S+)", 0)


def test_half_a_line_never_matches(console: Console) -> None:
    console.feed(b"slotboot: booted slot=USR")
    with pytest.raises(ConsoleTimeoutError):
        console.wait_for(r"slot=(\S+)", 0)
    console.feed(b"-A\n")
    assert console.wait_for(r"slot=(\S+)", 0).group(1) == "USR-A"


def test_a_wait_wakes_when_the_line_arrives(console: Console) -> None:
    threading.Timer(0.05, console.feed, [b"healthy\n"]).start()
    assert console.wait_for("healthy", 30).string == "healthy"


def test_a_wait_ends_with_the_console(console: Console) -> None:
    console.feed(b"Kernel panic")
    threading.Timer(0.05, console.end).start()
    with pytest.raises(ConsoleClosedError) as caught:
        console.wait_for("healthy", 30)
    assert "ended before a line matched 'healthy'" in str(caught.value)
    assert "    | Kernel panic" in str(caught.value)


def test_the_last_line_counts_even_without_its_end(console: Console) -> None:
    console.feed(b"half a line")
    console.end()
    assert console.wait_for("half", 0)


def test_a_missed_deadline_shows_the_last_lines_and_where_all_of_them_are(console: Console) -> None:
    console.feed(b"".join(b"line %d\n\n" % number for number in range(40)) + b"and half a li")
    with pytest.raises(ConsoleTimeoutError) as caught:
        console.wait_for("never", 0.01)
    first, where, *tail = str(caught.value).split("\n")
    assert first == "console: no line matched 'never' within 0 s"
    assert str(console.log) in where
    assert len(tail) == TAIL_LINES
    assert tail[-2:] == ["    | line 39", "    | and half a li"]


def test_other_news_can_end_a_wait(console: Console) -> None:
    def interrupt() -> None:
        raise EOFError("the machine died")

    with pytest.raises(EOFError):
        console.wait_for("healthy", 30, interrupt)


def test_a_line_that_has_arrived_wins_over_other_news(console: Console) -> None:
    def interrupt() -> None:
        raise EOFError("the machine died")

    console.feed(b"healthy\n")
    assert console.wait_for("healthy", 30, interrupt)


def test_the_log_holds_every_byte_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for run in (b"first\x1b[0m\r\n", b"second\xff\r\n"):
        with Console(log, Notifier()) as console:
            console.annotate("boot")
            console.feed(run)
    assert log.read_bytes() == (
        b"\r\n======== boot ========\r\nfirst\x1b[0m\r\n\r\n======== boot ========\r\nsecond\xff\r\n"
    )


def test_lines_of_one_boot_can_be_looked_at_again(console: Console) -> None:
    console.feed(b"booting slot USR-A\n")
    second_boot = console.mark()
    console.feed(b"booting slot USR-B\n")
    assert [match.group(1) for match in console.find_all(r"slot (\S+)", second_boot)] == ["USR-B"]
