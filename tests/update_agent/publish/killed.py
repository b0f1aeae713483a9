"""Runs ``updatectl publish`` again and again, each time in a fork of this process that is killed at another call of the system.

A line of JSON on standard input says how: ``words`` for the command, ``at`` (before the how-manieth call that opens, writes, flushes,
names or removes something; 0: never). The answer is a line of JSON: ``status`` as ``os.waitstatus_to_exitcode`` gives it, ``calls``
(where it came to its end), ``said``.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

from tests.update_agent.forks import Killer, answer
from update_agent.cli.main import main
from update_agent.payload.index import DeltaIndex, Index

# Everything that a run loads, so that a fork starts with the work at once.
for module in ("artifacts", "prune", "release_maker", "publisher"):
    import_module(f"update_agent.publish.{module}")
CALLS = ["open", "fchmod", "write", "fsync", "replace", "unlink", "mkdir"]


def run(order: dict[str, Any]) -> int:
    """In the fork: the number of calls."""
    killer = Killer(order["at"], late=False)
    for name in CALLS:
        killer.watch(os, name)
    main(["publish", *order["words"]], prog_name="updatectl", standalone_mode=False)
    return killer.calls


if __name__ == "__main__":
    Index.SEGMENT, DeltaIndex.SEGMENT = 64 << 10, 32 << 10
    for text in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(text), run, silent=True)) + "\n")
        sys.stdout.flush()
