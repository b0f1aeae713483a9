"""Folders with names that a tool would take for something else: an option, an offset, a drive, a pattern, a list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import cache_root, working_folder
from image_builder.distribution.elf import linker_of
from image_builder.errors import BuildError
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.seal import seal_image
from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.vfat import write_fat
from image_builder.loader.uki_file import build_uki
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

MINIMAL = Path(__file__).parents[2] / "examples" / "minimal.toml"
NAMES = ["-o,x", "--help", "a@@1M", "c:d", "[ab]*?", "a b", "%s", "-"]
UUID = "7130c94a-213a-4e5a-8e26-6cce9662f132"


@pytest.fixture(params=NAMES)
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder in the current one, by its relative name."""
    monkeypatch.chdir(tmp_path)
    path = Path(request.param)
    path.mkdir()
    return path


def esp(folder: Path, _: str) -> Path:
    (folder / "uki").write_bytes(b"program")
    output, files = folder / "esp", {"EFI/BOOT/BOOTX64.EFI": folder / "uki"}
    write_fat(SystemRunner(), output, files, label="ESP", size=8 << 20, sector_size=512, volume_id="1", epoch=1)
    return output


def sealed(folder: Path, filesystem: str) -> Path:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(100000))
    stored = FILESYSTEMS[filesystem]
    compression = stored.default_compression
    stored.write(SystemRunner(), FolderSource(tree), folder / "slot", uuid=UUID, compression=compression, epoch=1)
    seal_image(SystemRunner(), folder / "slot", uuid=UUID, salt=b"salt")
    return folder / "slot"


@pytest.mark.parametrize(("make", "filesystem"), [(esp, "vfat"), *((sealed, name) for name in FILESYSTEMS)])
def test_what_is_made_there_is_what_is_made_elsewhere(
    odd: Path, tmp_path: Path, make: Callable[[Path, str], Path], filesystem: str
) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    assert make(odd, filesystem).read_bytes() == make(plain, filesystem).read_bytes()


def test_programs_are_read_there(odd: Path) -> None:
    program = odd / "program"
    program.write_bytes(Path(os.path.realpath(sys.executable)).read_bytes())
    assert linker_of(SystemRunner(), program).startswith("/lib")


def test_a_stub_that_is_none_is_named_by_its_path(odd: Path) -> None:
    for name in ("stub", "kernel", "initramfs"):
        (odd / name).write_bytes(b"none")
    with pytest.raises(BuildError, match="stub: "):
        build_uki(
            SystemRunner(),
            odd / "uki",
            stub=odd / "stub",
            kernel=odd / "kernel",
            initramfs=odd / "initramfs",
            cmdline="",
            os_release="",
        )


def test_a_working_folder_has_an_absolute_name(odd: Path) -> None:
    with working_folder(odd) as folder:
        assert folder.is_absolute()
        assert folder.parent == odd.absolute()


@pytest.mark.parametrize("cwd", [None, Path("/")])
def test_a_path_reaches_a_program_as_what_it_is_here(odd: Path, cwd: Path | None) -> None:
    said = SystemRunner().run(["sh", "-c", 'printf "%s\\n" "$@"', "sh", odd / "file", "-n"], cwd=cwd)
    assert said.decode().splitlines() == [str(odd.absolute() / "file"), "-n"]


@pytest.mark.slow
def test_images_and_updates_are_built_there(tmp_path: Path) -> None:
    """Output, temporary files and cache have relative names that begin like options."""
    (tmp_path / "-t@@1M").mkdir()
    (tmp_path / "-c").symlink_to(cache_root().absolute())
    environment = {**os.environ, "TMPDIR": "-t@@1M", "SLOTBOOT_CACHE": "-c"}
    builder = Path(sys.executable).with_name("image-builder")
    for command, made in (
        ("artifacts", "minimal_1_base.slot"),
        ("build", "minimal.raw"),
        ("initrd", "minimal.initramfs"),
    ):
        done = subprocess.run(
            [builder, command, MINIMAL, "-o", "-o,x"], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert f"-o,x/{made}" in done.stdout.split()
        assert (tmp_path / "-o,x" / made).stat().st_size
    assert "No problems found" in run_tool("sgdisk", "--verify", tmp_path / "-o,x" / "minimal.raw")
    assert list((tmp_path / "-t@@1M").iterdir()) == []
