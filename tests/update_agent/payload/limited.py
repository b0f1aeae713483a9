"""An interpreter that gets no more memory than it is given, whoever allocates it."""

from __future__ import annotations

import subprocess
import sys

from tests.update_agent.payload.images import ROOT

_LIMIT = """
import resource, sys
def limit(memory):
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmSize")]
    most = int(line.split()[1]) * 1024 + memory
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
"""


def run_limited(program: str, memory: int, data: bytes) -> str:
    """What a program prints whose ``data`` is ``sys.stdin.buffer``, and that calls ``limit(memory)``; or the end of its error."""
    argv = [sys.executable, "-c", f"{_LIMIT}\nmemory = {memory}\n{program}"]
    done = subprocess.run(argv, input=data, capture_output=True, cwd=ROOT, check=False)
    return done.stdout.decode() or done.stderr.decode().splitlines()[-1]
