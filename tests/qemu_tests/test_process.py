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


def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from qemu_tests.harness.process import Process; "
        f"print(Process({WAIT_FOR_EVER!r}, Path({str(tmp_path / 'stderr')!r})).pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        ended, _, _ = select.select([orphan], [], [], 30)
        os.close(orphan)
    assert ended
