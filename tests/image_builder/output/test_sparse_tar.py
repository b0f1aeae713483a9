"""The sparse archive is byte by byte the one that GNU tar makes."""

from __future__ import annotations

import os
import subprocess
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from image_builder.output.sparse_tar import write_sparse_tar

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1704067200
PAGE = 4096


def by_gnu_tar(path: Path) -> bytes:
    # It reads holes 512 bytes at a time where it is not to ask the file system, which may have made them smaller or larger.
    how = "seek" if path.stat().st_size > 1 << 30 else "raw"
    argv = [
        "tar",
        "-c",
        "--format=oldgnu",
        "-S",
        f"--hole-detection={how}",
        "--owner=root:0",
        "--group=root:0",
        "--mode=0644",
    ]
    argv += [f"--mtime=@{EPOCH}", path.name]
    return subprocess.run(argv, cwd=path.parent, capture_output=True, check=True).stdout


SPREAD = [page * 2 for page in range(50)]


@pytest.mark.parametrize(
    ("size", "pages"),
    [
        (10 * PAGE, [1, 2, 5]),
        (10 * PAGE, [0, 9]),
        (10 * PAGE, []),
        (10 * PAGE + 700, [1, 10]),
        (20 * PAGE, [1, 3, 5]),
        (20 * PAGE, [1, 3, 5, 7]),
        (20 * PAGE, [1, 3, 5, 7, 19]),
        (101 * PAGE, SPREAD),
        (101 * PAGE, SPREAD[:25]),
        (101 * PAGE, SPREAD[:24]),
        (9 << 30, [3, (8 << 30) // PAGE + 1]),
    ],
)
def test_it_is_what_gnu_tar_makes(tmp_path: Path, size: int, pages: list[int]) -> None:
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(size)
        for page in pages:
            file.seek(page * PAGE)
            # No piece of 512 bytes is zeros: those are what GNU tar looks for.
            file.write((b"x" + os.urandom(511)) * (min(PAGE, size - page * PAGE) // 512))
            if page * PAGE + PAGE > size:
                file.write(b"y" * ((size - page * PAGE) % 512))
    found = BytesIO()
    write_sparse_tar(path, "disk.raw", found, epoch=EPOCH)
    assert found.getvalue() == by_gnu_tar(path)
