"""Every shell script of the project, as shellcheck sees it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_ALSO_PYTHON = {"bin/gptctl"}
"""Read by a shell as far as it has to be; shellcheck reads the rest as well. tests/test_imports.py runs it."""
_SHELL = re.compile(r"#!.*[/ ](?:ba|da)?sh$|# shellcheck shell=", re.MULTILINE)


def scripts() -> list[str]:
    """Those that git knows, by their first line: an interpreter or, where there is none, a word for shellcheck."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.rstrip("\0").split("\0") if name not in _ALSO_PYTHON and _is_script(ROOT / name)]


def _is_script(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _SHELL.match(file.readline(200).decode("utf-8", "replace")) is not None


def test_the_scripts_that_run_before_anything_else_can_help_are_found() -> None:
    assert {
        "script/bootstrap",
        "script/package",
        "bootselect/initramfs/init",
        "bootselect/integration/initramfs-tools/hooks/bootselect",
        "bootselect/integration/initramfs-tools/scripts/bootselect",
        "bootselect/integration/dracut/90bootselect/module-setup.sh",
        "image_builder/data/tiny/init",
    } <= set(scripts())


@pytest.mark.parametrize("script", scripts())
def test_shellcheck_finds_nothing_in(script: str) -> None:
    done = subprocess.run(["shellcheck", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
