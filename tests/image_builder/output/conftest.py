"""A disk image made by tools that are not ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: sgdisk flushes every file system of the machine."""
    tmp_path = tmp_path_factory.mktemp("master")
    image, tree = tmp_path / "disk.raw", tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(os.urandom(MIB))
    run_tool("mkfs.erofs", tmp_path / "erofs", tree)
    with image.open("wb") as file:
        file.truncate(21 * MIB)
    names = [word for n, label in enumerate(("USR-A", "USR-B", "DATA"), 1) for word in ("-c", f"{n}:{label}")]
    run_tool("sgdisk", "-n", "1:2048:+4M", "-n", "2:0:+4M", "-n", "3:0:+8M", *names, image)
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write((tmp_path / "erofs").read_bytes())
        for place in (9 * MIB + 4096, 12 * MIB + 512):
            file.seek(place)
            file.write(os.urandom(50_000))
    return image


@pytest.fixture
def disk(master: Path, tmp_path: Path) -> Path:
    """21 MiB: an erofs in a slot, a slot of zeros, something unknown with zeros in it, and free space."""
    run_tool("cp", "--sparse=always", master, tmp_path / "disk.raw")
    return tmp_path / "disk.raw"
