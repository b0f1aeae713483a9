"""What an installation does when it is told to stop: it says in one line what holds, and is gone.

Nothing has to be cleaned up: mounts, loop devices and locks are held by open files alone and end with the process, however it
ends (see ``update_agent.transport.medium``). Only the short moments in which the table changes are not interrupted.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bootselect.stop_signals import SIGNALS, listen, say_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Stopper:
    """Ends the process with 128 + the number of the signal and one line on standard error."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._holds = "nothing was written"

    def now(self, holds: str) -> None:
        """Say what holds on the disk from now on."""
        self._holds = holds

    def listen(self) -> None:
        """Take the signals over, but for those that whoever started the process has it ignore (nohup)."""
        listen(self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        say_stopped(self._program, number, self._holds)
        # Not an exception: one that arrives inside a destructor or an import is lost, and the process would go on.
        os._exit(128 + number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that arrive in the block wait for its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
