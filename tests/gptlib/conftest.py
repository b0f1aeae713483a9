"""Fixtures of the tests of gptlib."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib.cli.main import main
from tests.gptlib.writing import GPT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Writing tools call fsync and sync; in memory the tests do not depend on what else keeps the disk of the machine busy.
_MEMORY = Path("/dev", "shm")


@pytest.fixture
def ram(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one, else an ordinary one."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    path = Path(tempfile.mkdtemp(prefix="slotboot-test-", dir=_MEMORY))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def path(ram: Path) -> Path:
    """An image with the GPT of writing.py."""
    path = ram / "disk.img"
    path.write_bytes(GPT.image())
    return path


@pytest.fixture
def gptctl(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process: exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(word) for word in words])
        return code, *capfd.readouterr()

    return call
