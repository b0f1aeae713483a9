"""Runs ``updatectl`` again and again, each time in a fork of this process that kills itself somewhere else.

A line of JSON on standard input says how: ``words`` for the command, ``at`` (the how-manieth new line of our code that is about to
run; 0: none), and ``signal``. ``ignored`` are signals that are ignored from the start. The answer is a line of JSON: ``status`` as
``os.waitstatus_to_exitcode`` gives it, ``lines`` (how many new lines of code ran, where it came to its end), ``said``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING, Any

# Everything that a run loads, so that a fork starts with the work at once.
import bootselect.active
import bootselect.slot_disk
import gptlib.disk
import gptlib.read.checks
import gptlib.table.priorities
import update_agent
import update_agent.cli.main
from update_agent.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

OURS = [os.path.dirname(package.__file__ or "") for package in (bootselect, gptlib, update_agent)]  # noqa: PTH120


class Killer:
    """Counts the lines of our code as they are reached for the first time."""

    def __init__(self, at: int, number: int) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._at, self._number = at, number

    def trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:  # noqa: ANN401
        """For ``sys.settrace``."""
        name = frame.f_code.co_filename
        if not name.startswith(tuple(OURS)):
            return None
        line = (name, frame.f_lineno)
        if event == "line" and line not in self.seen:
            self.seen.add(line)
            if len(self.seen) == self._at:
                os.kill(os.getpid(), self._number)
        return self.trace


def run(order: dict[str, Any], output: int, count: int) -> None:
    """In the fork: never returns."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if number in order.get("ignored", []) else signal.SIG_DFL)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["updatectl", *order["words"]]
    killer = Killer(order["at"], order.get("signal", 0))
    code = 70
    sys.settrace(killer.trace)
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.settrace(None)
        os.write(count, str(len(killer.seen)).encode())
        os._exit(code)


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Run one order."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as count:
        child = os.fork()
        if child == 0:
            run(order, output.fileno(), count.fileno())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        count.seek(0)
        said, lines = output.read().decode(errors="replace"), count.read().decode()
    return {"status": status, "lines": int(lines or 0), "said": said}


if __name__ == "__main__":
    for text in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(text))) + "\n")
        sys.stdout.flush()
