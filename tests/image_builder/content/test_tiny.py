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


def test_files_laid_over_a_slot_are_all_that_differs(
    root: Path, write_slot: Callable[..., Path], tmp_path: Path
) -> None:
    motd, program = tmp_path / "motd", tmp_path / "program"
    motd.write_text("hello\n")
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    # A new file, and one in place of a link to BusyBox, by a way that leads through a link.
    files = {"/etc/motd": motd, "/bin/vi": program}
    extract(write_slot(tmp_path / "slot", "1", files), tmp_path / "root")
    argv = ["diff", "-r", "--brief", "--no-dereference", str(root), str(tmp_path / "root")]
    lines = subprocess.run(argv, capture_output=True, text=True).stdout.splitlines()
    assert sorted(line.split(" and ")[0] for line in lines) == [
        f"File {root}/usr/bin/vi is a symbolic link while file {tmp_path}/root/usr/bin/vi is a regular file",
        f"Only in {tmp_path}/root/etc: motd",
    ]
    found = {name: (tmp_path / "root" / name) for name in ("etc/motd", "usr/bin/vi")}
    assert {name: path.read_text() for name, path in found.items()} == {
        "etc/motd": "hello\n",
        "usr/bin/vi": "#!/bin/sh\n",
    }
    assert {name: path.stat().st_mode & 0o7777 for name, path in found.items()} == {
        "etc/motd": 0o644,
        "usr/bin/vi": 0o755,
    }
    assert {int(path.stat().st_mtime) for path in found.values()} == {1704067200}


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes_wherever_they_come_from_and_other_ones_another_file_system(
    write_slot: Callable[..., Path], tmp_path: Path
) -> None:
    slots = []
    for place, (text, mode) in enumerate(
        [("hello\n", 0o600), ("hello\n", 0o644), ("HELLO\n", 0o644), ("hello\n", 0o755)]
    ):
        source = tmp_path / f"source-{place}"
        source.write_text(text)
        source.chmod(mode)
        slots.append(write_slot(tmp_path / f"{place}.img", "1", {"/etc/motd": source}))
    assert slots[0].read_bytes() == slots[1].read_bytes()
    uuids = {run_tool("blkid", "-p", "-s", "UUID", "-o", "value", slot) for slot in slots}
    assert len(uuids) == 3


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
