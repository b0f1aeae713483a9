"""Runs ``updatectl publish`` again and again, each time in a fork of this process that is killed at another call of the system.

A line of JSON on standard input says how: ``words`` for the command, ``at`` (before the how-manieth call that opens, writes, flushes,
names or removes something; 0: never). The answer is a line of JSON: ``status`` as ``os.waitstatus_to_exitcode`` gives it, ``calls``
(where it came to its end), ``said``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

from update_agent.cli.main import main
from update_agent.payload.index import DeltaIndex, Index

if TYPE_CHECKING:
    from collections.abc import Callable

# Everything that a run loads, so that a fork starts with the work at once.
for module in ("artifacts", "prune", "release_maker", "publisher"):
    import_module(f"update_agent.publish.{module}")
CALLS = ["open", "fchmod", "write", "fsync", "replace", "unlink", "mkdir"]


class Killer:
    """Counts calls, and ends the process with SIGKILL before one of them."""

    def __init__(self, at: int) -> None:
        self.calls, self._at = 0, at

    def watch(self, name: str) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def call(*arguments: object, **more: object) -> object:
            self.calls += 1
            if self.calls == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        setattr(os, name, call)


def run(order: dict[str, Any]) -> int:
    """In the fork: the number of calls."""
    killer = Killer(order["at"])
    for name in CALLS:
        killer.watch(name)
    main(["publish", *order["words"]], prog_name="updatectl", standalone_mode=False)
    return killer.calls


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Run one order."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            write, code = os.write, 70
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            try:
                result = {"calls": run(order), "said": ""}
                code = 0
            except BaseException:  # noqa: BLE001
                result = {"calls": 0, "said": traceback.format_exc()}
            write(output.fileno(), json.dumps(result).encode())
            os._exit(code)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        return {"calls": 0, "said": "", **json.loads(output.read() or "{}"), "status": status}


if __name__ == "__main__":
    Index.SEGMENT, DeltaIndex.SEGMENT = 64 << 10, 32 << 10
    for text in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(text))) + "\n")
        sys.stdout.flush()
