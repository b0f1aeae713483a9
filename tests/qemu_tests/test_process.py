"""Processes end when we do, and say how they ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qemu_tests.errors import MissingToolError
from qemu_tests.harness.process import Process
from qemu_tests.harness.tools import find_tool

ROOT = Path(__file__).parents[2]
WAIT_FOR_EVER = ["tail", "-f", "/dev/null"]


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="no-such-qemu: not found"):
        Process(["no-such-qemu"], tmp_path / "stderr")


def test_the_end_and_the_last_words_are_kept(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo first >&2; echo last words >&2; exit 3"], tmp_path / "stderr")
    assert process.wait(30) == "exited with 3"
    assert process.said == "last words"


def test_a_wait_has_a_deadline_and_a_kill_ends_it(tmp_path: Path) -> None:
    process = Process(WAIT_FOR_EVER, tmp_path / "stderr")
    assert process.wait(0.01) is None
    process.kill()
    assert process.ended == "was killed by SIGKILL"
    process.kill()


STARTS_A_PROCESS = (
    "import sys; from pathlib import Path; from qemu_tests.harness.process import Process; "
    "print(Process(sys.argv[2:], Path(sys.argv[1])).pid, flush=True); sys.stdin.read()"
)
SETS_THE_SIGNAL_TOO_LATE = """#!/bin/sh
# The sixth word is the parent's process id; PPID is another one already where the parent died before this shell began.
while grep -q "^PPid:.$6$" /proc/$$/status; do :; done
exec {setpriv} "$@"
"""


def ends_with_its_parent(folder: Path, environment: dict[str, str]) -> bool:
    """Whether a process ends within 30 s after the program that started it was killed."""
    argv = [sys.executable, "-c", STARTS_A_PROCESS, str(folder / "stderr"), *WAIT_FOR_EVER]
    with subprocess.Popen(
        argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        ended, _, _ = select.select([orphan], [], [], 30)
        if not ended:
            signal.pidfd_send_signal(orphan, signal.SIGKILL)
        os.close(orphan)
        return bool(ended)


def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    assert ends_with_its_parent(tmp_path, dict(os.environ))


def test_nor_where_the_parent_dies_before_the_signal_is_asked_for(tmp_path: Path) -> None:
    late = tmp_path / "bin" / "setpriv"
    late.parent.mkdir()
    late.write_text(SETS_THE_SIGNAL_TOO_LATE.format(setpriv=find_tool("setpriv")))
    late.chmod(0o755)
    path = os.pathsep.join((str(late.parent), os.environ["PATH"]))
    assert ends_with_its_parent(tmp_path, {**os.environ, "PATH": path})
