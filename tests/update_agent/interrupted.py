"""Installs a published update again and again, each time in a fork of this process that is killed at another call of the system.

A line of JSON on standard input says how: ``url`` of the server, ``disk``, ``journal``, ``folder`` with the indexes, ``at`` (the
how-manieth call that changes something or receives something; 0: none), ``late`` (killed after that call and not before). The
answer is a line of JSON: ``status`` as ``os.waitstatus_to_exitcode`` gives it, ``calls`` (where it came to its end), ``said``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from tests.update_agent.forks import Killer, answer
from tests.update_agent.published import DELTA, FULL, install, small_segments
from tests.update_agent.updates import A
from update_agent.payload.index import DeltaIndex, Index
from update_agent.slot.stream import Published
from update_agent.transport.connection import Stream
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline

WATCHED = ["pwrite", "write", "fsync", "replace", "unlink"]


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


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    small_segments()
    for text in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(text), run)) + "\n")
        sys.stdout.flush()
