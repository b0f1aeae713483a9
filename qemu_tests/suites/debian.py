"""A Debian of its own for the suites, made by mmdebstrap and thrown away once something was built of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]


def build_in_debian(packages: Sequence[str], script: str, folder: Path, output: Path) -> None:
    """Run a shell script in the checkout, outside of a new Debian with these packages: $1 is its root, $2 is ``output``.

    The script is kept in ``folder``. Raises ToolFailedError.
    """
    hook = folder / "install.sh"
    hook.write_text(script)
    run_tool(
        # Without an initramfs for the kernel that is installed, if any: who wants one makes it in the script.
        *("env", "INITRD=No"),
        *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"),
        *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*"),
        f'--customize-hook=cd "{ROOT}" && sh "{hook}" "$1" "{output}"',
        *("bookworm", "/dev/null"),
    )
