"""The stand-in for QEMU on the PATH, and a lab that uses it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.harness.accel import Accelerator
from qemu_tests.harness.hardware.firmware import FirmwareFiles
from qemu_tests.harness.lab import Lab

if TYPE_CHECKING:
    import pytest

FAKE = Path(__file__).with_name("fake_qemu.py")


def install_fake_qemu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it before the real one; the file that takes a line with the arguments of each start."""
    programs, started = folder / "bin", folder / "started"
    programs.mkdir()
    program = programs / "qemu-system-x86_64"
    note, python, fake = (shlex.quote(str(word)) for word in (started, sys.executable, FAKE))
    program.write_text(f'#!/bin/sh\necho "$@" >>{note}\nexec {python} -I -S {fake} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return started


def fake_lab(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose machines are stand-ins; what was started stands in ``started`` in the folder."""
    install_fake_qemu(folder, monkeypatch)
    code, variables = folder / "CODE.fd", folder / "VARS.fd"
    code.write_bytes(bytes(1024))
    variables.write_bytes(bytes(1024))
    for name in ("machines", "logs"):
        (folder / name).mkdir()
    return Lab(folder / "machines", folder / "logs", Accelerator("tcg", "", 0.4), FirmwareFiles(code, variables))
