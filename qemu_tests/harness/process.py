"""A QEMU process: it dies with us, and what it says on standard error is kept."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from typing import TYPE_CHECKING

from qemu_tests.harness.tools import find_tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_STARTED_BY = '[ "$PPID" -eq "$0" ] && exec "$@"'
"""For sh: become the program, unless the parent died before the signal of its death was asked for."""


class Process:
    """A child process that is killed when its parent dies: an orphan would keep the lock of its image.

    For Linux the parent is the thread that started it: that thread must not end before the process should.
    """

    def __init__(self, argv: Sequence[str], stderr: Path, pass_fds: Sequence[int] = ()) -> None:
        """Start ``argv``; ``stderr`` is the file for what it says. Raises MissingToolError."""
        self.argv, self._stderr = tuple(argv), stderr
        # Not preexec_fn: it is not safe in a program with threads. Each becomes the next one, so the pid is the same.
        command = [find_tool("setpriv"), "--pdeathsig", "KILL"]
        command += [find_tool("sh"), "-c", _STARTED_BY, str(os.getpid()), find_tool(argv[0]), *argv[1:]]
        with stderr.open("wb") as file:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=pass_fds, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        code = self._child.poll()
        if code is None:
            return None
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    @property
    def said(self) -> str:
        """The last line on standard error."""
        lines = self._stderr.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def wait(self, seconds: float) -> str | None:
        """Wait for its end; how it ended, or None after ``seconds``."""
        if self.ended is None:
            fd = os.pidfd_open(self.pid)
            try:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                poll.poll(seconds * 1000)
            finally:
                os.close(fd)
        return self.ended

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. Harmless when it has ended."""
        if self.ended is None:
            self._child.kill()
        self._child.wait()
