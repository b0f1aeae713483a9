"""Work in a fork that is killed at a chosen call of the system, and what came of it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Killer:
    """Counts calls, of all threads, and ends the process with SIGKILL before or after one of them."""

    def __init__(self, at: int, *, late: bool) -> None:
        self.calls, self._at, self._late, self._numbers = 0, at, late, itertools.count(1)

    def watch(self, owner: object, name: str) -> None:
        setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object, **more: object) -> object:
            self.calls = number = next(self._numbers)
            if number == self._at and not self._late:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **more)
            if number == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def answer(order: dict[str, Any], run: Callable[[dict[str, Any]], int], *, silent: bool = False) -> dict[str, Any]:
    """Run one order in a fork: ``status``, ``calls`` (what ``run`` returned), ``said``. ``silent``: what it prints goes nowhere."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            write, code = os.write, 70
            if silent:
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
