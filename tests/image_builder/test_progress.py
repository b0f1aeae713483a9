"""What a build says while it works."""

from __future__ import annotations

import errno
import io
import os
import pty
import threading
from typing import TYPE_CHECKING

import pytest

from image_builder.progress import PlainProgress, TerminalProgress, progress_for

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Ten seconds pass between any two looks at it."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def test_a_pipe_gets_one_plain_line_for_each_finished_step() -> None:
    out = io.StringIO()
    progress = PlainProgress(out, clock=Clock())
    with progress.step("kernel"):
        progress.note("6.1 is used")
    assert out.getvalue() == "6.1 is used\nkernel (10.0 s)\n"


def test_a_step_that_fails_is_not_reported_as_done() -> None:
    out = io.StringIO()
    with pytest.raises(RuntimeError), PlainProgress(out).step("kernel"):
        raise RuntimeError
    assert out.getvalue() == ""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    opened = Terminal()
    yield opened
    opened.close()


class Terminal:
    """A pseudo-terminal: ``stream`` is what a program writes to, ``seen`` what its user sees."""

    def __init__(self) -> None:
        self._main, own = pty.openpty()
        self.stream = os.fdopen(own, "w")
        self.seen = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._main, 4096):
                self.seen += chunk.decode()
        except OSError as error:
            # Linux: nobody has the other end open any more.
            assert error.errno == errno.EIO

    def close(self) -> None:
        if not self.stream.closed:
            self.stream.close()
            self._reader.join(10)
            os.close(self._main)


def test_a_terminal_gets_a_live_line_and_a_pipe_does_not(terminal: Terminal) -> None:
    assert isinstance(progress_for(terminal.stream), TerminalProgress)
    assert not isinstance(progress_for(io.StringIO()), TerminalProgress)


def test_the_live_line_leaves_the_same_lines_behind_and_the_cursor_on(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.stream, clock=Clock())
    with progress.step("image"), progress.step("kernel"):
        pass
    terminal.close()
    assert terminal.seen.index("kernel (10.0 s)") < terminal.seen.index("image (30.0 s)")
    assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l")
