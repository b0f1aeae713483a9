"""ext4 of a given size, of the smallest one, and without content."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from bootselect.formats.filesystem import filesystem_of
from image_builder.errors import ToolFailedError
from image_builder.filesystem.ext4 import write_ext4
from image_builder.filesystem.source import FolderSource
from image_builder.run import SystemRunner
from tests.image_builder.filesystem.writing import EPOCH, UUID
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(200):
        (tree / f"{number}").write_bytes(b"x" * number * 400)
    return FolderSource(tree)


def told(image: Path) -> dict[str, str]:
    assert subprocess.run(["fsck.ext4", "-fn", image], capture_output=True).returncode == 0
    lines = run_tool("dumpe2fs", "-h", image).splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines if ":" in line)}


def test_it_has_the_size_that_was_asked_for(tmp_path: Path, source: FolderSource) -> None:
    write_ext4(SystemRunner(), source, tmp_path / "image", uuid=UUID, epoch=EPOCH, size=50 * MIB)

    found = told(tmp_path / "image")
    assert (found["Block count"], found["Block size"]) == (str(50 * MIB // 4096), "4096")
    assert (tmp_path / "image").stat().st_size == 50 * MIB
    assert "has_journal" not in found["Filesystem features"]


def test_without_a_size_next_to_nothing_is_left_over(tmp_path: Path, source: FolderSource) -> None:
    write_ext4(SystemRunner(), source, tmp_path / "image", uuid=UUID, epoch=EPOCH)

    found = told(tmp_path / "image")
    assert int(found["Free blocks"]) < 20
    assert int(found["Free inodes"]) < 20
    assert (tmp_path / "image").stat().st_size == int(found["Block count"]) * 4096


@pytest.mark.slow
@pytest.mark.parametrize("mebibytes", [126, 127, 128, 129, 130])
def test_the_smallest_size_is_right_around_the_end_of_a_group(tmp_path: Path, mebibytes: int) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "large").write_bytes(b"\xaa" * mebibytes * MIB)

    write_ext4(SystemRunner(), FolderSource(tree), tmp_path / "image", uuid=UUID, epoch=EPOCH)

    found = told(tmp_path / "image")
    assert int(found["Free blocks"]) < int(found["Block count"]) // 100
    assert int(found["Block count"]) * 4096 == (tmp_path / "image").stat().st_size


def test_an_empty_folder_fits_too(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()

    write_ext4(SystemRunner(), FolderSource(tmp_path / "tree"), tmp_path / "image", uuid=UUID, epoch=EPOCH)

    assert told(tmp_path / "image")["Filesystem UUID"] == UUID


def test_a_hole_takes_no_room(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    with (tmp_path / "tree/hole").open("wb") as file:
        file.truncate(500 * MIB)

    write_ext4(SystemRunner(), FolderSource(tmp_path / "tree"), tmp_path / "image", uuid=UUID, epoch=EPOCH)

    assert (tmp_path / "image").stat().st_size < 2 * MIB


def test_content_that_does_not_fit_is_an_error(tmp_path: Path, source: FolderSource) -> None:
    with pytest.raises(ToolFailedError, match=r"mkfs\.ext4"):
        write_ext4(SystemRunner(), source, tmp_path / "image", uuid=UUID, epoch=EPOCH, size=2 * MIB)


def test_more_files_than_the_size_has_inodes_for_fit(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(3000):
        (tmp_path / f"tree/{number}").touch()

    write_ext4(
        SystemRunner(), FolderSource(tmp_path / "tree"), tmp_path / "image", uuid=UUID, epoch=EPOCH, size=8 * MIB
    )

    assert int(told(tmp_path / "image")["Inode count"]) >= 3011


@pytest.mark.parametrize(
    ("label", "kept"),
    [("my data", "my data"), ("a label that is long", "a label that is "), ("größe" * 4, "größegröße"[:10] + "gr")],
)
def test_a_label_may_have_blanks_and_is_cut_after_16_bytes(tmp_path: Path, label: str, kept: str) -> None:
    write_ext4(SystemRunner(), None, tmp_path / "image", uuid=UUID, epoch=EPOCH, label=label, size=8 * MIB)

    assert len(kept.encode()) <= 16
    assert (
        run_tool("blkid", "-p", "-o", "value", "-s", "LABEL", tmp_path / "image").rstrip("\n").rstrip() == kept.rstrip()
    )


def test_an_empty_one_for_state_has_a_journal_and_always_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_ext4(
            SystemRunner(), None, tmp_path / name, uuid=UUID, epoch=EPOCH, label="state", size=64 * MIB, journal=True
        )

    found = told(tmp_path / "one")
    assert "has_journal" in found["Filesystem features"]
    assert "resize_inode" in found["Filesystem features"]
    assert re.search(r"2024", found["Filesystem created"])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    known = filesystem_of((tmp_path / "one").read_bytes()[:4096])
    assert known is not None
    assert known.size == 64 * MIB
