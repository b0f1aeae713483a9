"""What the programs of the project do with the signals that ask a process to end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | int | None
    """What ``signal.signal`` takes and returns."""

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def listen(stop: Callable[[int, FrameType | None], object]) -> dict[int, Handler]:
    """Take the signals over, but for those that whoever started the process has it ignore (nohup); returns what was there."""
    before: dict[int, Handler] = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    return before


def say_stopped(program: str, number: int, holds: str) -> None:
    """One line on standard error: by which signal, and what holds now."""
    line = f"{program}: stopped by {signal.Signals(number).name}: {printable(holds)}\n"
    # The terminal may be gone: that is what SIGHUP says.
    with suppress(OSError):
        os.write(2, line.encode("utf-8", "backslashreplace"))
