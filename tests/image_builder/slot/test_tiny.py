"""The tiny slot, as the file system that it becomes; the tools of erofs and the programs in it are the judges."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.image_builder.erofs import extract
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPTS = [
    "usr/bin/init",
    "usr/lib/slotboot/control",
    "usr/lib/slotboot/shell",
    "usr/lib/bootselect/health.d/required.d/10-state",
    "usr/lib/bootselect/health.d/required.d/50-behaviour",
]


def run_python(root: Path, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the interpreter of the slot with the slot's own libraries and modules, without being root."""
    linker = root / "lib64/ld-linux-x86-64.so.2"
    libraries = f"{root}/usr/lib/x86_64-linux-gnu:{root}/usr/lib"
    words = [linker, "--library-path", libraries, root / "usr/bin/python3", "-ISB", *argv]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True)


def test_it_is_a_whole_file_system_that_fits_a_small_partition(slot: Path) -> None:
    run_tool("fsck.erofs", slot)
    assert "TYPE=erofs\n" in run_tool("blkid", "-p", "-o", "export", slot)
    assert slot.stat().st_size < 24 << 20


def test_it_is_the_same_whenever_and_by_whomever_it_is_built(
    slot: Path, write_slot: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        again = write_slot(tmp_path / "again.img")
    finally:
        os.umask(before)
    assert again.read_bytes() == slot.read_bytes()


def test_nothing_of_the_building_machine_is_in_it(root: Path) -> None:
    found = [path.stat() for path in (root, *root.rglob("*")) if not path.is_symlink()]
    assert {info.st_mode & 0o7777 for info in found} == {0o755, 0o644}
    assert {int(info.st_mtime) for info in found} == {1704067200}


def test_the_selector_takes_it_for_a_system(root: Path) -> None:
    from bootselect.initramfs.mount import check_system

    assert check_system(str(root)).version == "1"


def test_its_os_release_can_be_read_by_a_shell(root: Path) -> None:
    said = run_tool("sh", "-c", f". {root}/etc/os-release; echo $ID $VERSION $VERSION_ID")
    assert said == "slotboot-minimal 1 1\n"


def test_a_broken_slot_differs_from_a_good_one_in_one_word_only(
    root: Path, write_slot: Callable[..., Path], tmp_path: Path
) -> None:
    extract(write_slot(tmp_path / "slot", "1", "panic"), tmp_path / "root")
    argv = ["diff", "-r", "--brief", "--no-dereference", str(root), str(tmp_path / "root")]
    lines = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [f"{root}/usr/lib/slotboot/behaviour"]
    assert (tmp_path / "root/usr/lib/slotboot/behaviour").read_text() == "panic\n"


def test_every_link_leads_somewhere(root: Path) -> None:
    links = [path for path in root.rglob("*") if path.is_symlink()]
    assert links
    for path in links:
        assert not path.readlink().is_absolute()
        assert path.exists(), path


@pytest.mark.parametrize("script", SCRIPTS)
def test_its_shell_understands_its_scripts(root: Path, script: str) -> None:
    assert (root / script).stat().st_mode & 0o777 == 0o755
    assert (root / script).read_text().startswith("#!/bin/sh\n")
    done = subprocess.run([root / "usr/bin/busybox", "sh", "-n", root / script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["gptctl", "bootselect", "updatectl"])
def test_our_tools_run_with_what_is_in_it(root: Path, command: str) -> None:
    assert (root / "usr/bin" / command).read_text().startswith("#!/usr/bin/python3 -ISB\n")
    done = run_python(root, root / "usr/bin" / command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().lower().startswith("usage: ")


def test_kernel_modules_are_listed_by_name_and_file_in_load_order(root: Path) -> None:
    lines = [line.split() for line in (root / "usr/lib/slotboot/modules").read_text().splitlines()]
    names = [name for name, _ in lines]
    assert {"virtio_console", "loop"} <= set(names)
    assert all((root / file.lstrip("/")).is_file() for _, file in lines)
    assert names.index("virtio_ring") < names.index("virtio_console")


def test_state_is_looked_for_by_the_label_of_its_partition(root: Path) -> None:
    assert (root / "etc/fstab").read_text() == "PARTLABEL=STATE /var ext4 nosuid,nodev 0 0\n"


@pytest.mark.parametrize(("behaviour", "code"), [("good", 0), ("unhealthy", 1)])
def test_the_check_of_an_unhealthy_slot_fails(root: Path, tmp_path: Path, behaviour: str, code: int) -> None:
    script = (root / SCRIPTS[4]).read_text()
    (tmp_path / "behaviour").write_text(f"{behaviour}\n")
    script = script.replace("/usr/lib/slotboot/behaviour", str(tmp_path / "behaviour"))
    assert subprocess.run(["sh", "-c", script]).returncode == code
