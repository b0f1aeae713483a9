"""What a program costs, all its processes together."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_MEASURE = """
import os, sys, time
begin = time.monotonic()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print()
print(time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""
"""A small process: what a program is started by counts as its memory at least."""


class Cost(NamedTuple):
    """Seconds, those of all processors, and bytes of the largest process."""

    wall: float
    cpu: float
    memory: int

    def __add__(self, other: object) -> Cost:
        """One after the other."""
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.wall + other.wall, self.cpu + other.cpu, max(self.memory, other.memory))


def measured(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a program, the first of ``argv`` as a path, in a folder. Exits where it fails."""
    return measured_output(argv, folder, environment)[0]


def measured_output(argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[Cost, str]:
    """As ``measured``; and what the program printed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _MEASURE, *argv],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environment},
    )
    if done.returncode:
        raise SystemExit(f"bench: {argv[0]} failed:\n{done.stdout}{done.stderr}")
    *printed, numbers = done.stdout.splitlines()
    wall, cpu, memory = numbers.split()
    return Cost(float(wall), float(cpu), int(memory)), "\n".join(printed)
