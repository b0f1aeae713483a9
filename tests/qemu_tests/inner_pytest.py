"""A pytest of its own, whose machines are run by the stand-in for QEMU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAKE = Path(__file__).with_name("fake_qemu.py")
_OURS = ("PYTEST_", "SLOTBOOT_")
IMAGE = """
import pytest
from pathlib import Path

@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(4 << 20))
    return path
"""
"""A fixture for tests in there: an empty disk."""


def fake_qemu(folder: Path) -> Path:
    """A folder for the front of PATH in which QEMU is the stand-in."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    program = programs / "qemu-system-x86_64"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{_FAKE}" "$@"\n')
    program.chmod(0o755)
    return programs


def inner_pytest(
    folder: Path,
    *options: str,
    text: str | None = None,
    fails: bool = False,
    prefix: Sequence[str] = (),
    name: str = "test_inner.py",
) -> str:
    """What pytest says of the tests in ``folder``, of which ``text`` becomes one module. ``prefix`` is a program that runs it."""
    if text is not None:
        (folder / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment["PATH"] = os.pathsep.join((str(fake_qemu(folder)), environment["PATH"]))
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    tests = [] if text is None else [name]
    done = subprocess.run(
        [*prefix, *pytest, "--slotboot-accel=tcg", *options, *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert not fails or done.returncode
    return done.stdout + done.stderr
