"""Loop devices for tests that run as root; each test skips, and says so, where this machine gives none."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.gptlib.readers import tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def why_no_loop_device() -> str:
    """Why this machine gives no loop devices to this process; empty where it does."""
    if os.geteuid() != 0:
        return "not root"
    return subprocess.run(["losetup", "-f"], capture_output=True, text=True).stderr.strip()


LOOP = not why_no_loop_device()
needs_loop = pytest.mark.skipif(not LOOP, reason=f"no loop devices: {why_no_loop_device()}")


@contextmanager
def loop(path: Path, *options: str, partitions: bool = False) -> Iterator[str]:
    """A loop device over a file; with ``partitions`` the kernel has read its table (which it does not by itself everywhere)."""
    device = tool("losetup", "--find", "--show", *options, path).strip()
    try:
        if partitions:
            tool("partx", "--add", device)
        yield device
    finally:
        # Those that are there; it says nothing useful where there are none.
        subprocess.run(["partx", "--delete", device], capture_output=True)
        tool("losetup", "--detach", device)


def loops_over(path: Path) -> str:
    """The loop devices that stand for a file, as losetup knows them; empty for none."""
    return tool("losetup", "--noheadings", "--output", "NAME", "--associated", path)
