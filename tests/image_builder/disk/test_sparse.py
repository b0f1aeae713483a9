"""Copying into an image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from image_builder.disk.sparse import copy_into, data_extents

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def sparse_file(path: Path, size: int, data: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, content in data.items():
            file.seek(offset)
            file.write(content)
    return path


def test_the_bytes_arrive_at_their_place_and_nothing_else_changes(tmp_path: Path) -> None:
    source = sparse_file(tmp_path / "source", 5 * MIB + 17, {0: b"head", 3 * MIB: os.urandom(MIB), 5 * MIB: b"t" * 17})
    target = sparse_file(tmp_path / "target", 9 * MIB, {0: b"before", 2 * MIB + 5 * MIB + 17: b"after"})
    copy_into(source, target, 2 * MIB)
    found = target.read_bytes()
    assert found[: 2 * MIB] == b"before".ljust(2 * MIB, b"\0")
    assert found[2 * MIB : 7 * MIB + 17] == source.read_bytes()
    assert found[7 * MIB + 17 :] == b"after".ljust(2 * MIB - 17, b"\0")


def test_holes_stay_holes(tmp_path: Path) -> None:
    source = sparse_file(tmp_path / "source", 512 * MIB, {256 * MIB: b"x" * MIB})
    target = sparse_file(tmp_path / "target", 1024 * MIB, {})
    assert copy_into(source, target, 512 * MIB) <= 2 * MIB
    assert target.stat().st_blocks * 512 <= 2 * MIB


@pytest.mark.parametrize("size", [0, 4096, 64 * MIB])
def test_a_file_of_nothing_but_a_hole_has_no_data(tmp_path: Path, size: int) -> None:
    with sparse_file(tmp_path / "source", size, {}).open("rb") as file:
        assert list(data_extents(file.fileno())) == []
