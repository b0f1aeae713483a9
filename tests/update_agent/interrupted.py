"""Installs a published update again and again, each time in a fork of this process that is killed at another call of the system.

A line of JSON on standard input says how: ``url`` of the server, ``disk``, ``journal``, ``folder`` with the indexes, ``at`` (the
how-manieth call that changes something or receives something; 0: none), ``late`` (killed after that call and not before). The
answer is a line of JSON: ``status`` as ``os.waitstatus_to_exitcode`` gives it, ``calls`` (where it came to its end), ``said``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.update_agent.published import DELTA, FULL, install, small_segments
from tests.update_agent.updates import A
from update_agent.payload.index import DeltaIndex, Index
from update_agent.slot.stream import Published
from update_agent.transport.connection import Stream
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

WATCHED = ["pwrite", "write", "fsync", "replace", "unlink"]


class Killer:
    """Counts calls, and ends the process with SIGKILL before or after one of them."""

    def __init__(self, at: int, *, late: bool) -> None:
        self.calls, self._at, self._late = 0, at, late

    def watch(self, owner: object, name: str) -> None:
        setattr(owner, name, self._watched(getattr(owner, name)))

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object, **more: object) -> object:
            self.calls += 1
            if self.calls == self._at and not self._late:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **more)
            if self.calls == self._at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def run(order: dict[str, Any]) -> int:
    """In the fork: the number of calls."""
    folder = Path(order["folder"])
    full = Index.parse((folder / "full").read_bytes())
    delta = DeltaIndex.parse((folder / "delta").read_bytes()) if (folder / "delta").exists() else None
    killer = Killer(order["at"], late=order["late"])
    for name in WATCHED:
        killer.watch(os, name)
    killer.watch(Stream, "readinto")
    with HttpClient(Deadline(60), proxy=lambda _: None) as client:
        second = (delta, HttpSource(client, order["url"] + DELTA)) if delta else None
        offer = Published("2", "the update", full, HttpSource(client, order["url"] + FULL), second)
        install(offer, Path(order["disk"]), Path(order["journal"]), old=A)
    return killer.calls


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Run one order."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            write, code = os.write, 70
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
    socket.setdefaulttimeout(60)
    small_segments()
    for text in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(text))) + "\n")
        sys.stdout.flush()
