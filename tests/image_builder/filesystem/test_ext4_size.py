"""An ext4 is as large as its content: e2fsck and dumpe2fs judge."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.filesystem.ext4 import write_ext4
from image_builder.filesystem.source import FolderSource
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_UUID = "c4a9b26e-95a5-4b0f-8c53-2b8c0f7bd6b4"


class Counting(SystemRunner):
    """Remembers which programs ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def run(self, argv: Sequence[str | os.PathLike[str]], **keywords: object) -> bytes:
        self.ran.append(str(argv[0]))
        return super().run(argv, **keywords)  # type: ignore[arg-type]


def written(tree: Path, output: Path) -> tuple[int, float]:
    """How often mkfs ran, and the share of blocks that are free in a sound file system."""
    runner = Counting()
    write_ext4(runner, FolderSource(tree), output, uuid=_UUID, epoch=1_000_000_000)
    subprocess.run(["e2fsck", "-fn", output], check=True, capture_output=True)
    told = subprocess.run(["dumpe2fs", "-h", output], check=True, capture_output=True, text=True).stdout
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    return runner.ran.count("mkfs.ext4"), int(fields["Free blocks"]) / int(fields["Block count"])


def files(tree: Path) -> None:
    for number in range(400):
        (tree / f"{number}").write_bytes(os.urandom(20_000 + number))


def long_names(tree: Path) -> None:
    for number in range(500):
        (tree / f"{'n' * 240}{number}").mkdir()


def long_links(tree: Path) -> None:
    for number in range(500):
        (tree / f"{number}").symlink_to("l" * 200)


def attributes(tree: Path) -> None:
    for number in range(300):
        (tree / f"{number}").touch()
        os.setxattr(tree / f"{number}", "user.large", b"v" * 2000)


@pytest.mark.parametrize("fill", [files, long_names, long_links, attributes])
def test_it_is_written_once_and_nearly_full(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fill(tree)
    times, free = written(tree, tmp_path / "image")
    assert times == 1
    assert free < 0.05


def test_holes_take_no_room(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "file").open("wb") as file:
        file.write(os.urandom(100_000))
        file.truncate(1 << 30)
    assert written(tree, tmp_path / "image")[0] == 2
    assert (tmp_path / "image").stat().st_size < 1 << 20


def test_a_count_that_was_too_small_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("image_builder.filesystem.ext4.needed_bytes", lambda *_: 6 << 20)
    tree = tmp_path / "tree"
    tree.mkdir()
    files(tree)
    (tree / "more").write_bytes(os.urandom(200_000))
    times, _ = written(tree, tmp_path / "image")
    assert times > 1
