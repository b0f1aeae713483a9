"""What those who are logged in read, on real terminals of the kernel; who they are, from files that other programs wrote."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.clocks import FakeTime
from update_agent.reboot.sessions import terminals
from update_agent.reboot.warning import PATIENCE, broadcast, message, reboot_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 28, 12, 40, 34, 136894, tzinfo=timezone(timedelta(0), "UTC"))
# What printf(1) makes of the formats of locksmith's daemon.go: "\r%79s\r\n", "%-79.79s\007\007\r\n", "%-79.79s\r\n", "\r%79s\r\n".
PRINTF = [
    "printf", r"\r%79s\r\n%-79.79s\007\007\r\n%-79.79s\r\n\r%79s\r\n", " ",
    "Broadcast message from locksmithd at 2026-11-28 12:40:34.136894000 +0000 UTC:", "System reboot in 5 minutes!", " ",
]  # fmt: skip


def test_the_bytes_are_those_of_locksmith() -> None:
    judged = subprocess.run(PRINTF, capture_output=True, check=True).stdout
    assert message(reboot_in(300), NOW) == judged


def test_a_message_that_is_too_long_is_cut_and_one_that_is_odd_is_ascii() -> None:
    rows = message("\u00fc" * 200, NOW).split(b"\r\n")
    assert rows[2] == b"?" * 79
    assert all(len(row.replace(b"\a", b"").replace(b"\r", b"")) == 79 for row in rows[:-1])


class Terminal:
    """A terminal of the kernel, and who reads it."""

    def __init__(self) -> None:
        self.reader, self.inner = pty.openpty()
        mode = termios.tcgetattr(self.inner)
        mode[1] &= ~termios.OPOST
        termios.tcsetattr(self.inner, termios.TCSANOW, mode)
        self.name = os.ttyname(self.inner).removeprefix("/dev/")

    def read(self) -> bytes:
        data = b""
        while select.select([self.reader], [], [], 0.2)[0]:
            data += os.read(self.reader, 1 << 16)
        return data

    def stop(self) -> None:
        """What ^S does."""
        termios.tcflow(self.inner, termios.TCOOFF)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.inner)


@pytest.fixture
def two() -> Iterator[tuple[Terminal, Terminal]]:
    found = Terminal(), Terminal()
    yield found
    for one in found:
        one.close()


def test_every_terminal_gets_the_same_bytes_once(two: tuple[Terminal, Terminal]) -> None:
    data = message(reboot_in(300), NOW)
    assert set(broadcast(data, [one.name for one in two])) == {one.name for one in two}
    assert [one.read() for one in two] == [data, data]


def test_one_that_is_stopped_holds_nobody_up(two: tuple[Terminal, Terminal]) -> None:
    stopped, other = two
    stopped.stop()
    data, time = message(reboot_in(300), NOW), FakeTime()
    # A system call that waits would wait for ever.
    assert broadcast(data, [stopped.name, other.name], clock=time.clock, sleep=time.sleep) == (other.name,)
    assert other.read() == data
    assert sum(time.slept) <= PATIENCE + 0.1


@pytest.mark.slow
def test_one_that_is_slow_gets_all_of_it(two: tuple[Terminal, Terminal]) -> None:
    data, got = message(reboot_in(300), NOW) * 500, []

    def sleep(_: float) -> None:
        got.append(two[0].read())

    assert broadcast(data, [two[0].name], sleep=sleep, clock=lambda: 0.0) == (two[0].name,)
    assert b"".join([*got, two[0].read()]) == data


def test_what_is_no_terminal_is_left_alone(two: tuple[Terminal, Terminal], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(f"/dev/{two[0].name}")
    os.mkfifo(tmp_path / "pipe")
    assert broadcast(b"x", ["file", "link", "pipe", "none", "null"], dev=tmp_path) == ()
    assert broadcast(b"x", ["null"]) == ()
    assert (tmp_path / "file").read_text() == "mine"
    assert two[0].read() == b""


def session(folder: Path, name: str, **fields: str) -> None:
    rows = {"UID": "1000", "USER": "core", "ACTIVE": "1", "STATE": "active", "CLASS": "user", **fields}
    (folder / name).write_text(
        "# This is private data. Do not parse.\n" + "".join(f"{a}={b}\n" for a, b in rows.items())
    )


def test_the_terminals_are_those_of_the_sessions_of_logind(tmp_path: Path) -> None:
    session(tmp_path, "1", TTY="tty1", TYPE="tty", VTNR="1")
    session(tmp_path, "7", TTY="pts/3", TYPE="tty", REMOTE="1")
    session(tmp_path, "8", TTY="pts/3")
    session(tmp_path, "c1", TTY="tty7", CLASS="greeter")
    session(tmp_path, "9", TTY="pts/4", STATE="closing")
    session(tmp_path, "10", TYPE="wayland")
    session(tmp_path, "11", TTY="../etc/passwd")
    session(tmp_path, "12", TTY="ttyS0", CLASS="user-early")
    os.mkfifo(tmp_path / "1.ref")
    assert terminals(tmp_path, tmp_path / "none") == ("pts/3", "tty1", "ttyS0")
    assert terminals(tmp_path / "empty", tmp_path / "none") == ()


def test_they_are_also_those_of_utmp_where_logind_knows_nobody_or_is_not_there(tmp_path: Path) -> None:
    """The records are written by util-linux' utmpdump, and read by coreutils' who, too."""
    with subprocess.Popen(["true"]) as gone:
        pass
    rows = [
        (2, 0, "~~", "reboot", "~"), (7, os.getpid(), "ts/0", "core", "pts/0"), (7, gone.pid, "ts/1", "left", "pts/1"),
        (8, os.getpid(), "ts/2", "", "pts/2"), (6, os.getpid(), "tty1", "LOGIN", "tty1"), (7, os.getpid(), "s0", "root", "ttyS0"),
    ]  # fmt: skip
    text = "".join(
        f"[{kind}] [{process:05}] [{id_:4}] [{user:8}] [{line:12}] [host                ] [10.0.0.1       ] "
        "[2026-11-28T12:00:00,000000+00:00]\n"
        for kind, process, id_, user, line in rows
    )
    data = subprocess.run(["utmpdump", "-r"], input=text.encode(), capture_output=True, check=True).stdout
    assert len(data) == 384 * len(rows)
    (tmp_path / "utmp").write_bytes(data + b"half a record")
    judged = subprocess.run(["who", tmp_path / "utmp"], capture_output=True, text=True, check=True).stdout
    assert {"pts/0", "ttyS0"} <= set(judged.split())
    assert terminals(tmp_path / "no logind", tmp_path / "utmp") == ("pts/0", "ttyS0")
    (tmp_path / "logind").mkdir()
    assert terminals(tmp_path / "logind", tmp_path / "utmp") == ("pts/0", "ttyS0")
    session(tmp_path / "logind", "1", TTY="tty2")
    assert terminals(tmp_path / "logind", tmp_path / "utmp") == ("pts/0", "tty2", "ttyS0")
