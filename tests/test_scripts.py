"""Every shell script of the project, as shellcheck sees it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from qemu_tests.suites import test_foreign_initramfs, test_systemd

ROOT = Path(__file__).parent.parent
_ALSO_PYTHON = "bin/gptctl"
"""A shell reads it up to the line that ends its quotes, Python the rest; tests/test_imports.py runs it."""
_OF_MAKE = "debian/rules"
_SHELL = re.compile(r"#!.*[/ ](?:ba|da)?sh$|# shellcheck shell=", re.MULTILINE)


def scripts() -> list[str]:
    """Those that git knows, by their first line: an interpreter or, where there is none, a word for shellcheck."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.rstrip("\0").split("\0") if name != _ALSO_PYTHON and _is_script(ROOT / name)]


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
        "bootselect/integration/dracut/90bootselect/mount-bootselect.sh",
        "bootselect/integration/dracut/90bootselect/parse-bootselect.sh",
        "examples/mkosi/mkosi.finalize",
        "image_builder/data/tiny/init",
        "image_builder/data/tiny/control",
        "image_builder/data/tiny/shell",
        "image_builder/data/tiny/health.d/required.d/10-state",
    } <= set(scripts())


def test_every_executable_file_is_a_script_that_is_checked() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-s", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    executable = {line.partition("\t")[2] for line in listed.split("\0") if line.startswith("100755")}
    assert {name for name in executable if (ROOT / name).exists()} - {_ALSO_PYTHON, _OF_MAKE} <= set(scripts())


@pytest.mark.parametrize("script", scripts())
def test_shellcheck_finds_nothing_in(script: str) -> None:
    done = subprocess.run(["shellcheck", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def _check_text(text: str) -> tuple[int, str]:
    done = subprocess.run(["shellcheck", "--shell=sh", "-"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_shellcheck_finds_nothing_in_what_a_shell_reads_of_gptctl() -> None:
    text = (ROOT / _ALSO_PYTHON).read_text()
    assert text.startswith("#!/bin/sh\n")
    shell, end, _ = text.partition("\n' '''\n")
    assert end
    assert _check_text(f"{shell}\n") == (0, "")


@pytest.mark.parametrize("script", [test_foreign_initramfs.INSTALL, test_systemd.INSTALL], ids=["initramfs", "systemd"])
def test_shellcheck_finds_nothing_in_what_installs_us_in_a_debian(script: str) -> None:
    assert _check_text(script) == (0, "")
