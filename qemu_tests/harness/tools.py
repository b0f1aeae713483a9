"""Programs of the machine that the harness runs: found also where an ordinary user's PATH does not look."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from qemu_tests.errors import MissingToolError, ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEBIAN_PACKAGES = {
    "cgpt": "cgpt",
    "chromium": "chromium",
    "mcopy": "mtools",
    "objcopy": "binutils",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
    "sgdisk": "gdisk",
}
"""Program -> Debian package."""


def find_tool(name: str) -> str:
    """The path of a program. Raises MissingToolError."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingToolError(name, DEBIAN_PACKAGES.get(name, name))
    return found


def run_tool(name: str, *arguments: str | Path, pass_fds: Sequence[int] = ()) -> str:
    """Run a program to its end and return what it wrote on standard output. Raises MissingToolError, ToolFailedError.

    A path reaches the program as an absolute one, so that no name is taken for an option, a drive or a protocol.
    """
    argv = [find_tool(name), *(word if isinstance(word, str) else str(word.absolute()) for word in arguments)]
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", check=False, env=environment, pass_fds=pass_fds
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise ToolFailedError([name, *argv[1:]], done.returncode, lines[-1] if lines else "")
    return done.stdout
