"""The control port: orders and their results, and nothing else."""

from __future__ import annotations

import base64

import pytest

from qemu_tests.errors import ControlProtocolError
from qemu_tests.harness.control import ControlPort, Ready, Result, parse_line
from qemu_tests.harness.notifier import Notifier


def test_the_lines_of_the_guest() -> None:
    assert parse_line("ready USR-A 1 0e5b") == Ready("USR-A", "1", "0e5b")
    # "hi" and a new line, as coreutils' base64 encodes them
    assert parse_line("done 7 3 aGkK") == (7, Result(3, "hi\n"))
    assert parse_line("done 7 0 ") == (7, Result(0, ""))
    assert parse_line("done 7 0") == (7, Result(0, ""))


def test_output_that_is_no_text_is_still_a_result() -> None:
    assert parse_line("done 1 0 /w==") == (1, Result(0, "\ufffd"))


@pytest.mark.parametrize(
    "line",
    ["", "ready", "ready USR-A 1", "ready  1 x", "done", "done x 0 aGk=", "done 1 -1 aGk=", "done 1 0 a a", "login:"],
)
def test_any_other_line_is_refused_by_name(line: str) -> None:
    with pytest.raises(ControlProtocolError, match="expected 'ready LABEL VERSION BOOT-ID' or"):
        parse_line(line)


def test_output_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ControlProtocolError, match="expected base64"):
        parse_line("done 1 0 a")


class Port:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.port = ControlPort(self.sent.append, Notifier())


def test_an_order_goes_out_as_one_line_whatever_is_in_it() -> None:
    port = Port()
    command = "printf 'two\nlines' | wc -l; echo ü"
    assert port.port.send(command) == 1
    assert port.port.send("true") == 2
    verb, number, encoded = port.sent[0].decode("ascii").split(" ")
    assert (verb, number) == ("run", "1")
    assert base64.b64decode(encoded).decode() == command
    assert port.sent[0].count(b"\n") == 1


def test_a_result_belongs_to_its_order_and_is_taken_once() -> None:
    port = Port().port
    first, second = port.send("one"), port.send("two")
    port.feed(b"done 2 0 dHdv\ndone 1 1 b2")
    assert port.take_result(first) is None
    assert port.take_result(second) == Result(0, "two")
    port.feed(b"5l\n")
    assert port.take_result(first) == Result(1, "one")
    assert port.take_result(first) is None


def test_a_greeting_is_taken_once() -> None:
    port = Port().port
    port.feed(b"ready USR-A 1 x\r\n")
    assert port.take_ready() == Ready("USR-A", "1", "x")
    assert port.take_ready() is None


def test_after_a_reboot_the_old_greeting_and_half_a_line_mean_nothing() -> None:
    port = Port().port
    port.feed(b"ready USR-A 1 x\ndone 1 0 aG")
    port.forget()
    port.feed(b"ready USR-B 2 y\n")
    assert port.take_ready() == Ready("USR-B", "2", "y")


def test_a_line_that_is_not_understood_is_reported_to_whoever_waits() -> None:
    port = Port().port
    port.feed(b"sh: base64: not found\nhello USR-A 1 x\n")
    with pytest.raises(ControlProtocolError, match="sh: base64: not found"):
        port.take_ready()
