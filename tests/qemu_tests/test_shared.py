"""Work that several processes share is done by one of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qemu_tests.harness.shared import SharedWorkError, shared_result

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os, sys
from pathlib import Path
from qemu_tests.harness.shared import shared_result
print(json.dumps(shared_result(Path(sys.argv[1]), "work", os.getpid)))
"""


def test_all_processes_get_the_work_of_one(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)
    ]
    answers = {json.loads(worker.communicate()[0]) for worker in workers}
    assert len(answers) == 1
    assert answers <= {worker.pid for worker in workers}


def test_the_failure_of_one_is_told_to_all_and_not_repeated(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("no kernel")

    with pytest.raises(ValueError, match="no kernel"):
        shared_result(tmp_path, "work", fail)
    with pytest.raises(SharedWorkError, match="no kernel"):
        shared_result(tmp_path, "work", lambda: pytest.fail("called twice"))
