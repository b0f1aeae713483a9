"""Shared libraries are found as the dynamic linker will look for them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.distribution.elf import library_closure, linker_of
from image_builder.errors import LibraryError, PackageContentError

if TYPE_CHECKING:
    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner


def test_a_library_s_own_libraries_are_found_too(runner: SystemRunner, target: TargetPackages) -> None:
    tree = target.tree(["python3.11-minimal", "libc6", "zlib1g", "libexpat1"])
    folders = [tree / "lib/x86_64-linux-gnu", tree / "usr/lib/x86_64-linux-gnu"]
    names = [file.name for file in library_closure(runner, [tree / "usr/bin/python3.11"], folders)]
    assert names == ["ld-linux-x86-64.so.2", "libc.so.6", "libexpat.so.1", "libm.so.6", "libz.so.1"]


def test_a_library_that_no_package_has_is_named(runner: SystemRunner, target: TargetPackages, tmp_path: Path) -> None:
    program = target.package("python3.11-minimal").root / "usr/bin/python3.11"
    with pytest.raises(LibraryError, match=r"shared library lib[a-z]+.so.[0-9], needed by python3.11, is in none"):
        library_closure(runner, [program], [tmp_path])


def test_a_program_names_its_dynamic_linker(runner: SystemRunner, target: TargetPackages) -> None:
    program = target.package("python3.11-minimal").root / "usr/bin/python3.11"
    assert linker_of(runner, program) == "/lib64/ld-linux-x86-64.so.2"


def test_a_static_program_in_place_of_a_dynamic_one_is_refused(
    runner: SystemRunner, target: TargetPackages, tmp_path: Path
) -> None:
    program = Path(shutil.copy(target.package("busybox-static").root / "bin/busybox", tmp_path))
    with pytest.raises(PackageContentError, match="busybox: it asks for no dynamic linker"):
        linker_of(runner, program)
